"""The package's structure: imports point one way, as docs/architecture.md says; files are short and names differ."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from gradpath.config.checks import PROJECT

PACKAGE = PROJECT / "src/gradpath"
LONGEST_FILE, LONGEST_FUNCTION, TWICE = 320, 70, 12


def sources() -> list[Path]:
    return sorted([*PACKAGE.rglob("*.py"), *(PROJECT / "scripts").glob("*.py"), PROJECT / "train.py"])


def allowed() -> dict[str, set[str]]:
    """Room -> the rooms that it may import, from the table in docs/architecture.md, in the table's order."""
    text = (PROJECT / "docs/architecture.md").read_text()
    table = text.split("<!-- rooms -->")[1].split("<!-- /rooms -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("| `")]
    return {row[0].strip("`/"): set(re.findall(r"\w+", row[-1])) for row in rows}


def imported(path: Path) -> set[str]:
    """The rooms, and the files at the package's top, from which a file imports something, anywhere in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "gradpath":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gradpath."):
            found.add(str(node.module).split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("gradpath.")}
    return found


def test_every_room_is_in_the_map_and_says_what_it_holds() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert rooms == set(allowed())
    for room in rooms:
        opening = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text()))
        assert opening, room
        assert len(opening.splitlines()[0]) > 30, room


def test_imports_point_one_way() -> None:
    """A room imports exactly the rooms that the table names for it. They all stand above it in the table."""
    arrows = allowed()
    order = list(arrows)
    for room, others in arrows.items():
        assert all(order.index(other) < order.index(room) for other in others), room
        seen = {found for path in (PACKAGE / room).rglob("*.py") for found in imported(path)} & set(arrows)
        assert seen - {room} == others, room


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_what_stands_at_the_top_imports_no_room(path: Path) -> None:
    # The public names are looked up when they are first used.
    if path.name not in ("__init__.py", "testing.py"):
        assert not imported(path) & set(allowed())


def test_files_of_one_name_stand_at_most_twice() -> None:
    names = Counter(path.name for path in [*sources(), *(PROJECT / "tests").rglob("*.py")] if path.name != "__init__.py")
    assert {name: count for name, count in names.items() if count > 2} == {}


def test_no_two_files_of_tests_have_one_name() -> None:
    """pytest imports each by its name alone."""
    names = Counter(path.name for path in (PROJECT / "tests").rglob("test_*.py"))
    assert {name: count for name, count in names.items() if count > 1} == {}


def test_no_file_and_no_function_is_too_long() -> None:
    too_long = []
    for path in sources():
        text = path.read_text()
        if text.count("\n") > LONGEST_FILE:
            too_long.append(f"{path.name}: {text.count(chr(10))} lines")
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
        too_long += [f"{path.name}: {f.name}" for f in functions if (f.end_lineno or 0) - f.lineno >= LONGEST_FUNCTION]
    assert too_long == []


def test_no_passage_of_more_than_twelve_lines_stands_twice() -> None:
    seen: dict[tuple[str, ...], str] = {}
    twice = []
    for path in [*sources(), *sorted((PROJECT / "tests").rglob("*.py"))]:
        lines = [line.strip() for line in path.read_text().splitlines() if line.strip()]
        for start in range(len(lines) - TWICE):
            passage = tuple(lines[start : start + TWICE + 1])
            place = f"{path.relative_to(PROJECT)}: {passage[0]}"
            if seen.setdefault(passage, place) != place:
                twice.append((seen[passage], place))
    assert twice == []
