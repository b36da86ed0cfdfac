"""In a terminal of 60, 80 or 132 columns no line is wider than it, and no name, number or path is cut."""

import re
from pathlib import Path

import pytest

from gradpath.config.checks import PROJECT
from screen import Screen, on_terminal

pytestmark = pytest.mark.forked

WIDTHS = (60, 80, 132)
SCRIPTS = sorted(path.name for path in (Path(__file__).parents[2] / "scripts").glob("*.py"))
NUMBER = re.compile(r"[-+x(]*\d[\d.,]*(e[-+]?\d+)?%?[),;:]*")
LAYER = re.compile(r"hidden_\d+")
# What a terminal may break: a word, or a command that is copied as a whole.
WHOLE = re.compile(r" *(?:\w+ +)?(?:tensorboard --logdir )?\S+")
# These lines differ from run to run or from width to width.
OWN = re.compile(r"\(left out|time |This station took|\d+ of \d+ claims|.*\u2501|.*logs/")

DEEP = ("model=deep", "model.depth=14", "model.width=16", "data.limit=640", "trainer=cpu")
TRAINED = {
    "default": ("data.limit=640", "model.hidden=[32,16]", "trainer=cpu", "trainer.max_epochs=2"),
    "long_numbers": (*DEEP, "activation=sigmoid", "init=xavier_normal", "trainer.max_epochs=1", "probe=full"),
    "diverging": ("data=xor_noisy", "optimizer=sgd", "optimizer.lr=1e30", "trainer=cpu", "trainer.max_epochs=1"),
    "batchnorm": (*DEEP, "norm=batch_before", "activation=tanh", "init=he_normal", "trainer.max_epochs=1"),
    "regression": ("data=sine", "trainer=cpu", "trainer.max_epochs=1", "loss=huber"),
}
TYPED = {
    "a look": "scripts/probe.py activation=sigmoid init=xavier_normal model=deep model.depth=14 model.width=40",
    "a grid": "scripts/probe.py -m activation=sigmoid,tanh init=xavier_normal,critical model=deep model.depth=6",
    "a grid of one": "scripts/probe.py -m",
    "the studies": "scripts/study.py",
    "a study": "scripts/study.py activations",
    "the stations": "scripts/tour.py --list",
    "by hand, a chain": "scripts/by_hand.py chain activation=tanh x=2 y=1",
    "by hand": "scripts/by_hand.py",
    "by hand, a network": "scripts/by_hand.py mlp data=xor_noisy model.hidden=[4,3] norm=batch_before activation=gelu",
    "claims": "scripts/verify_science.py --only 12,19",
    "all": "train.py --help",
    "an option": "train.py activation=reluu",
    "a key": "train.py momentum=0.9",
    "a path": "train.py resume=logs/no/such/folder-with-a-very-long-name/that-is-wider-than-sixty-columns/2026-11-26",
    "a flag": "scripts/tour.py --lst",
}


def fits(screen: Screen) -> None:
    """No line is wider than the terminal but for single words; nothing is shortened."""
    for line in screen.lines:
        assert len(line) <= screen.columns or WHOLE.fullmatch(line), line
        assert "\u2026" not in line
        assert not re.search(r"[\w.]\.\.\.(?!\w)", line), line
        # Boxes break what stands in them.
        assert not re.search("[\u2502\u256d\u2570]", line), line


def tokens(screen: Screen) -> set[str]:
    """The numbers and names of layers."""
    words = [word for line in screen.lines if not OWN.match(line) for word in line.split()]
    return {word.strip("(),;:") for word in words if NUMBER.fullmatch(word) or LAYER.fullmatch(word)}


def alike(screens: dict[int, Screen]) -> None:
    """What a narrow terminal shows of numbers and names is there in the wide one, too: nothing was cut to another."""
    wide = tokens(screens[max(screens)])
    for columns, screen in screens.items():
        fits(screen)
        assert tokens(screen) <= wide, (columns, tokens(screen) - wide)


def bar_stands_still(screen: Screen) -> None:
    """Every part of the live bar stays in its place: the steps, and the first metric."""
    for part in (" step ", " loss "):
        assert len({bar.index(part) for bar in screen.bars if part in bar}) <= 1, screen.bars
    assert all(len(bar) <= screen.columns for bar in screen.bars)


@pytest.mark.parametrize("name", TRAINED)
def test_a_run(start, project: Path, name: str) -> None:
    screens = {}
    for columns in WIDTHS:
        folder = f"logs/runs/columns_{name}_{columns}"
        screens[columns], code = on_terminal(start, columns, "train.py", *TRAINED[name], f"hydra.run.dir={folder}")
        assert code == 0, screens[columns].lines
        bar_stands_still(screens[columns])
        assert any(folder in line for line in screens[columns].lines)
        judged = "highest val/accuracy" if name != "regression" else "lowest val/loss"
        assert name == "diverging" or any(judged in line for line in screens[columns].lines)
    alike(screens)
    assert screens[60].bars or name == "diverging"
    if name == "default":
        resumed, code = on_terminal(start, 60, "train.py", f"resume={folder}", "trainer.max_epochs=3")
        assert code == 0
        fits(resumed)
        evaluated, code = on_terminal(start, 60, "scripts/evaluate.py", f"run={folder}")
        assert code == 0
        fits(evaluated)
        assert evaluated.lines[0] == f"run: {folder}"


@pytest.mark.parametrize("name", TYPED)
def test_a_command(start, name: str) -> None:
    screens = {columns: on_terminal(start, columns, *TYPED[name].split())[0] for columns in WIDTHS}
    alike(screens)
    if name == "a look":
        # First out, in this order, and said to be.
        assert "(left out in 60 columns: seeds, band, sat., dead)" in screens[60].lines
        assert "hidden_01" in tokens(screens[60])
    if name == "a grid":
        assert "every network:" in " ".join(screens[80].lines)
        assert [line for line in screens[80].lines if line.endswith(" activation=tanh init=critical")]
    if name == "a grid of one":
        # As without -m.
        assert all("verdict" in " ".join(screen.lines) for screen in screens.values())


def test_a_warning_keeps_its_three_parts_apart(start, command) -> None:
    """What, why and remedy begin a line each, in the README as in a pipe; a narrower terminal goes on below each."""
    page = (PROJECT / "README.md").read_text()
    typed, shown = re.findall(r"```\n\$ python train.py (.*)\n(warning: .*\n  why: .*\n  remedy: .*)\n```", page)[0]
    piped = command("scripts/probe.py", *typed.split()).stdout
    assert shown in piped
    assert f"{typed}\n{shown}\n" in (PROJECT / "docs/outlook.md").read_text()
    for columns in (40, *WIDTHS):
        screen, code = on_terminal(start, columns, "scripts/probe.py", *typed.split())
        assert code == 0
        heads = ("warning: ", "  why: ", "  remedy: ")
        first, why, remedy = [next(k for k, line in enumerate(screen.lines) if line.startswith(head)) for head in heads]
        parts = [screen.lines[first:why], screen.lines[why:remedy], [screen.lines[remedy]]]
        if not screen.lines[remedy].endswith("1.85"):
            parts[2].append(screen.lines[remedy + 1])
        assert [" ".join(map(str.strip, part)) for part in parts] == [*map(str.strip, shown.splitlines())]
        assert all(len(line) <= columns for part in parts for line in part)
        # Neither key=value nor "key = value" goes on in another line.
        assert not any(re.search(r"(=|\^2|remedy:)$|^ *=", line) for part in parts for line in part)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(start, script: str) -> None:
    for columns in (60, 80):
        screen, code = on_terminal(start, columns, f"scripts/{script}", "--help")
        assert code == 0
        fits(screen)


def test_no_progress_in_a_pipe(command, project: Path) -> None:
    done = command("scripts/verify_science.py", "--only", "12,19")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.exhaustive
@pytest.mark.parametrize("typed", ["scripts/trainability.py --quick", "scripts/study.py learning_rate --quick"])
def test_progress_in_a_terminal(start, command, project: Path, typed: str) -> None:
    screen, code = on_terminal(start, 80, *typed.split())
    assert code == 0
    fits(screen)
    assert any(re.fullmatch(r"(\d+) of \1", line) for line in screen.lines)
    piped = command(*typed.split())
    assert (piped.returncode, piped.stderr) == (0, "")


def test_lines_in_a_pipe_stay_lines(command, project: Path) -> None:
    """One record is one line, however long."""
    done = command(
        "scripts/probe.py", *DEEP[:3], "activation=sigmoid", "init=xavier_normal", "hydra.run.dir=logs/probes/piped"
    )
    (choices,) = [line for line in done.stdout.splitlines() if line.startswith("  choices: ")]
    assert choices.endswith("init=xavier_normal")
    assert "\u00a0" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) > 132
    studied = command("scripts/study.py", "activations").stdout
    assert "\nfound right: the sigmoid's slope is 0.25 at most; for negative h ReLU's is 0, LeakyReLU's 0.01\n" in studied
