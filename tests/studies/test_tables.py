"""What the studies of many trainings print, and what their commands refuse."""

from math import inf

import pytest

from gradpath.config.checks import PROJECT
from gradpath.config.composition import CONF, compose
from gradpath.studies import init_comparison, outlook_check
from gradpath.studies.init_comparison import ACTIVATIONS, DEPTHS, INITS, Scheme
from gradpath.studies.outlook_check import Cell


def test_the_outlook_counts_its_answers() -> None:
    cells = [
        Cell("sgd", "tanh", "pytorch", 5, 5.4, 0.5),
        Cell("sgd", "tanh", "pytorch", 20, 5.4, 0.11),
        Cell("sgd", "relu", "he_normal", 100, 3784.0, 0.17),
        Cell("adam", "gelu", "pytorch", 10, 9.6, 0.93),
        Cell("adam", "gelu", "pytorch", 20, 9.6, 0.93),
    ]
    lines = list(outlook_check.table(cells))
    assert [cell.wrong for cell in cells] == [False, False, True, False, True]
    assert lines[3] == "| sgd | relu | he_normal | 100 |  | trains | 0.17 | no | wrong |"
    assert lines[4] == "| adam | gelu | pytorch | 10 | 9.6 | uncertain | 0.93 | yes |  |"
    assert lines[-2].strip() == (
        "sgd: theory says trains 2 times, 1 of them trained; uncertain 0 times, 0 of them trained; "
        "will not train 1 times, 0 of them trained"
    )
    assert lines[-1].strip().endswith("uncertain 1 times, 1 of them trained; will not train 1 times, 1 of them trained")


def test_the_page_has_what_the_command_prints() -> None:
    """Limits and accuracies from the page's own rows; the answers, the counts and the form from today's code."""
    text = (PROJECT / "docs/outlook.md").read_text()
    text = text[text.index("| optimizer | activation") :]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith(("| sgd", "| ad"))
    ]
    cells = [Cell(*row[:3], int(row[3]), float(row[4] or inf), _accuracy(row)) for row in rows]
    parts = ["\n".join(outlook_check.table([c for c in cells if c.optimizer == name])) for name in outlook_check.RATES]
    assert text == "\n\n".join(parts) + "\n"
    # "96 of 100", and the 8 near the limit.
    sgd = [cell for cell in cells if cell.optimizer == "sgd"]
    assert [sum(cell.trained == (cell.depth <= cell.limit) for cell in sgd), len(sgd)] == [96, 100]
    assert sum(cell.limit < cell.depth <= 2 * cell.limit for cell in sgd) == 8


def _accuracy(row: list[str]) -> float:
    """The accuracy of a row, on the right side of 20 % where it was rounded to that."""
    return float(row[6]) + (1e-4 if row[6] == "0.20" and row[7] == "yes" else 0)


@pytest.mark.parametrize("key", [{"says": "uncertain"}, {"trains": False}, {}])
def test_results_of_every_version_are_read(key: dict[str, object]) -> None:
    """`outlook.trains` was a yes or no."""
    ahead = {"depth": 20, "limit": 14.2, **key}
    results = [{"outlook": ahead, "metrics": {"test/accuracy": accuracy}} for accuracy in (0.1, 0.21)]
    found = outlook_check._cell("sgd", 20, "selu", "pytorch", results)
    assert (found.says, found.trained, found.limit) == ("uncertain", True, 14.2)
    endless = [{"outlook": ahead | {"limit": None}, "metrics": {}}]
    assert outlook_check._cell("sgd", 20, "selu", "pytorch", endless).says == "trains"


def test_comparison_sums_up_each_initialisation() -> None:
    found = [
        Scheme(
            activation, init, depth, {"critical": 1.5, "zeros": None}.get(init, 30.0), 0.9 if init == "critical" else 0.1, 0
        )
        for depth in DEPTHS
        for activation in ACTIVATIONS
        for init in INITS
    ]
    lines = "\n".join(init_comparison.tables(found)).splitlines()
    count = len(DEPTHS) * len(ACTIVATIONS)
    whole = f"{count} of {count}"
    assert lines[2] == f"| critical | {whole} | {whole} | 0.900 | 0.90 | {whole} |"
    assert lines[3] == f"| he_normal | {whole} | 0 of {count} | 0.100 | 0.10 | 0 of {count} |"
    assert lines[14] == f"| zeros | 0 of {count} | 0 of {count} | 0.100 | 0.10 | 0 of {count} |"
    assert sum(line.startswith("### Depth") for line in lines) == 2 * len(DEPTHS)


def test_every_option_of_the_groups_is_compared() -> None:
    assert set(INITS) == {path.stem for path in (CONF / "init").glob("*.yaml")}
    assert set(ACTIVATIONS) == {path.stem for path in (CONF / "activation").glob("*.yaml")}


@pytest.mark.parametrize(
    "overrides",
    [outlook_check.overrides("adam", 5, "tanh", "critical", 0.001), init_comparison.overrides(10, "gelu", "lsuv", 1)],
)
def test_the_runs_are_ones_that_train_py_would_make(overrides: tuple[str, ...]) -> None:
    config, choices = compose(*overrides)
    assert config["trainer"]["max_epochs"] == 1
    assert choices["probe"] == "none"


@pytest.mark.parametrize(("script", "typed"), [("check_outlook.py", "adamm"), ("compare_init.py", "--quick")])
def test_wrong_input(command, script: str, typed: str) -> None:
    done = command(f"scripts/{script}", typed)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
