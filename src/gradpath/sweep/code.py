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
    """`made_by`, with the code of a user's own packages that a configuration names."""
    code = hashlib.sha256(made_by().encode())
    for package in sorted({*packages}):
        found = importlib.util.find_spec(package)
        places = found.submodule_search_locations or [] if found else []
        files = [path for place in places for path in sorted(Path(place).rglob("*.py"))]
        for path in files or [Path(found.origin)] if found and found.origin else files:
            code.update(f"{package}\0{path.name}\0{path.read_text()}".encode())
    return code.hexdigest() if packages else made_by()


def named_packages(config: Any) -> set[str]:
    """The user's own packages that a configuration's `_target_`s name."""
    if isinstance(config, list):
        return {name for item in config for name in named_packages(item)}
    if not isinstance(config, Mapping):
        return set()
    below = {name for value in config.values() for name in named_packages(value)}
    package = str(config.get("_target_", "")).split(".")[0]
    return below | ({package} & {*own_packages()})


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
