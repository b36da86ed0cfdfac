"""One script out of JavaScript modules, for a page that opens from disk, where a browser loads no modules.

Each module becomes a function that returns its exports. Its comments and imports are dropped; nothing else is changed.
"""

import re
from collections.abc import Sequence
from pathlib import Path

# The shapes of `import` and `export` that our modules have. Whatever else begins with these words is refused.
IMPORT = re.compile(r'^import \{([^}]*)\} from "([^"]+)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|const|class) (\w+))", re.MULTILINE)
OTHER = re.compile(r"^(?:import|export)\b.*|\bimport\(.*|\bimport\.meta.*", re.MULTILINE)
COMMENTS = re.compile(r"^\s*(?://.*|/\*\*(?:.|\n)*?\*/)\n", re.MULTILINE)
# Casts, such as /** @type {View[]} */ in the middle of a line.
CASTS = re.compile(r"/\*\* @type \{.*?\} \*/ ?")


def bundle(entry: Path) -> str:
    """The script of a module and of all that it imports.

    Raises:
        ValueError: modules import each other in a circle, or have an import or export of another shape.
    """
    order: list[Path] = []
    _visit(entry.resolve(), order, ())
    parts = [_wrapped(path, order) for path in order]
    return "\n".join(['"use strict";', f"const modules = Array({len(parts)});", *parts, ""])


def _visit(path: Path, order: list[Path], above: Sequence[Path]) -> None:
    """Puts a module behind all that it imports."""
    if path in above:
        raise ValueError(f"{path.name}: imports itself through {' and '.join(other.name for other in above)}")
    if path in order:
        return
    for found in IMPORT.finditer(_code(path)):
        _visit((path.parent / found[2]).resolve(), order, (*above, path))
    order.append(path)


def _wrapped(path: Path, order: Sequence[Path]) -> str:
    """A module as a function that is called at once; what it exports is kept at its place in `modules`."""
    code = _code(path)

    def taken(found: re.Match[str]) -> str:
        place = order.index((path.parent / found[2]).resolve())
        return f"const {{{found[1].replace(' as ', ': ')}}} = modules[{place}];\n"

    exported = [found[1] for found in EXPORT.finditer(code)]
    code = EXPORT.sub("", IMPORT.sub(taken, code))
    if other := OTHER.search(code):
        raise ValueError(f"{path.name}: {other[0]}")
    return f"modules[{order.index(path)}] = (() => {{\n{code}return {{ {', '.join(exported)} }};\n}})();"


def _code(path: Path) -> str:
    text = CASTS.sub("", COMMENTS.sub("", path.read_text(encoding="utf-8")))
    return re.sub(r"\n{2,}", "\n", text).lstrip("\n")
