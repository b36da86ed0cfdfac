"""What the studies of many trainings print, and what their commands refuse."""

import pytest

from gradpath.config.composition import CONF, compose
from gradpath.studies import init_comparison, outlook_check
from gradpath.studies.init_comparison import ACTIVATIONS, DEPTHS, INITS, Scheme
from gradpath.studies.outlook_check import Cell


def test_the_outlook_counts_what_is_right() -> None:
    cells = [
        Cell("sgd", "tanh", "pytorch", 5, 5.4, True, 0.5),
        Cell("sgd", "tanh", "pytorch", 10, 5.4, False, 0.11),
        Cell("sgd", "relu", "he_normal", 100, 3784.0, True, 0.17),
        Cell("adam", "gelu", "pytorch", 10, 9.6, False, 0.93),
    ]
    lines = list(outlook_check.table(cells))
    assert [cell.right for cell in cells] == [True, True, False, False]
    assert lines[3] == "| sgd | relu | he_normal | 100 |  | yes | 0.17 | no | wrong |"
    assert lines[-2].strip() == "sgd: right in 2 of 3 (66.7%); theory says yes 2 times, no 1 times"
    assert lines[-1].strip() == "adam: right in 0 of 1 (0.0%); theory says yes 0 times, no 1 times"


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
