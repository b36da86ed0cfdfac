"""Which code made a result: a digest that changes when the code that trains changes."""

import ast
import hashlib
import importlib.util
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from gradpath.config.checks import PROJECT
from gradpath.config.target_names import own_packages

# A result is made by the package's folders, without the code in DO_NOT_TRAIN, and by the files in TRAINS.
TRAINS = ("activations.py", "config/targets.py")
DO_NOT_TRAIN = (
    *("config/", "sweep/", "studies/", "dashboard/", "byhand/"),
    *("run/terminal.py", "run/summary.py", "run/tensorboard.py", "run/heatmap.py"),
)


@cache
def made_by() -> str:
    """A digest of torch's version and of the code that trains, as both were when this was first called.

    Changes to comments, docstrings, the command line, sweeps, studies and displays leave it as it is.
    """
    code = hashlib.sha256(_torch_version().encode())
    package = PROJECT / "src/gradpath"
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if name in TRAINS or (not name.startswith(DO_NOT_TRAIN) and "/" in name):
            code.update(f"{name}\0{without_words(path.read_text())}".encode())
    return code.hexdigest()


def made_by_with(packages: Iterable[str]) -> str:
    """`made_by`, and behind a plus sign a digest of those of the user's own packages that a configuration names.

    What these import of the user's other packages belongs to them. Changes to comments and docstrings leave it as it is.
    """
    found = _with_imported({*packages})
    if not found:
        return made_by()
    code = hashlib.sha256()
    for package, files in sorted(found.items()):
        for path in files:
            code.update(f"{package}\0{path.name}\0{_without_words(path)}".encode())
    return f"{made_by()}+{code.hexdigest()}"


def has_changed(code: str, packages: Iterable[str]) -> bool:
    """Whether this process has other code than a digest is of. A package that it cannot find is no change."""
    packages = {*packages}
    if version(code) != made_by():
        return True
    return all(map(_files, packages)) and code != made_by_with(packages)


def version(code: str) -> str:
    """The part of a digest that `made_by` returns: equal for jobs that the same code of this project has trained."""
    return code.partition("+")[0]


def _with_imported(packages: set[str]) -> dict[str, list[Path]]:
    """The files of packages, and of what else of the user's they import."""
    found: dict[str, list[Path]] = {}
    waiting = [*packages]
    while waiting:
        package = waiting.pop()
        if package not in found:
            found[package] = _files(package)
            imported = {name for path in found[package] for name in _imports(path)}
            waiting += [name for name in imported if name in own_packages() or _is_beside(name, package)]
    return found


def _files(package: str) -> list[Path]:
    """The files of a package or a module; none if it cannot be found."""
    files = [path for place in _places(package) for path in sorted(place.rglob("*.py"))]
    origin = getattr(_spec(package), "origin", None)
    return files or ([Path(origin)] if origin else [])


def _is_beside(name: str, package: str) -> bool:
    """Whether a module lies beside a package of the user's, unless packages are installed there."""
    origin = getattr(_spec(package), "origin", None)
    beside = [place.parent for place in _places(package)] or ([Path(origin).parent] if origin else [])
    own = [place for place in beside if not {"site-packages", "dist-packages"} & {*place.parts}]
    return any((place / f"{name}.py").is_file() or (place / name / "__init__.py").is_file() for place in own)


def _places(package: str) -> list[Path]:
    """The folders of a package; none for a module in one file."""
    return [*map(Path, getattr(_spec(package), "submodule_search_locations", None) or [])]


def _spec(package: str) -> Any:
    try:
        return importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None


def _imports(path: Path) -> set[str]:
    """The first names of the modules that a file imports."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.split(".")[0])
    return found


def _without_words(path: Path) -> str:
    try:
        return without_words(path.read_text())
    # A file that is no Python, or for a newer Python, counts as it is.
    except (SyntaxError, ValueError):
        return path.read_bytes().hex()


def named_packages(config: Any) -> set[str]:
    """The user's own packages that a configuration's `_target_`s name, of those that are trusted here."""
    return target_packages(config) & {*own_packages()}


def target_packages(config: Any) -> set[str]:
    """The packages that a configuration's `_target_`s name."""
    if isinstance(config, list):
        return {name for item in config for name in target_packages(item)}
    if not isinstance(config, Mapping):
        return set()
    below = {name for value in config.values() for name in target_packages(value)}
    return below | {str(config["_target_"]).split(".")[0]} if config.get("_target_") else below


def without_words(source: str) -> str:
    """The syntax tree of a file as text, without comments and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def _torch_version() -> str:
    """What `torch.__version__` says, without importing torch."""
    found = importlib.util.find_spec("torch")
    assert found is not None
    assert found.origin is not None
    text = Path(found.origin).with_name("version.py").read_text()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__version__":
            return str(ast.literal_eval(node.value))
    raise ImportError("torch/version.py has no __version__")
