"""The chapter's studies: real runs, small ones; their conclusions, their pictures, their command line."""

import io
from collections.abc import Iterator
from math import inf, log
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import image
from matplotlib.figure import Figure

from gradpath.cli import CONF
from gradpath.studies import runs
from gradpath.studies.chapter import activations, learning_rate, xor
from gradpath.studies.chapter.entries import STUDIES
from gradpath.studies.chapter.learning_rate import Course, course, labels
from gradpath.studies.chapter.page import page, terminal
from gradpath.studies.chapter.registry import study
from gradpath.studies.chapter.study import Study

# Studies that train for longer than a few seconds even when they are quick.
SLOW = ("xor", "learning_rate", "dead_units", "symmetry", "losses")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A place of its own: what was trained before is not read."""
    monkeypatch.setattr(runs, "STUDIES", tmp_path)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def pixels(figure: Figure) -> np.ndarray:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    file.seek(0)
    return image.imread(file)


def texts(figure: Figure) -> list[str]:
    """Of all legends and notes."""
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def legible(figure: Figure) -> None:
    """A picture of a README's size, with something drawn in every panel, titled and with named axes."""
    picture = pixels(figure)
    height, width, _ = picture.shape
    assert 700 <= width <= 2000
    assert 400 <= height <= 1600
    assert len(np.unique(picture.reshape(-1, 4), axis=0)) > 50
    panels = [axes for axes in figure.axes if axes.get_visible() and axes.get_label() != "<colorbar>"]
    assert all(axes.has_data() for axes in panels)
    assert figure.get_suptitle()
    written = [text for axes in panels for text in (axes.xaxis.label, axes.yaxis.label, axes.title) if text.get_text()]
    assert all(text.get_fontsize() >= 11 for text in written)
    assert any(axes.get_xlabel() for axes in panels)
    assert any(axes.get_ylabel() for axes in panels)


@pytest.mark.parametrize("name", ["activations", "collapse", *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)])
def test_study(name: str) -> None:
    """Its conclusions hold, its pictures can be read, and what is particular to it is there."""
    result = study(name, quick=True)
    for conclusion in result.conclusions:
        assert conclusion.holds, conclusion
    assert len(result.conclusions) >= 2
    assert {len(row) for row in result.table.rows} == {len(result.table.header)}
    assert set(result.captions) == set(result.figures)
    for figure in result.figures.values():
        legible(figure)
    text = page(name, STUDIES[name], result)
    assert f"python scripts/study.py {name}" in text
    assert all(f"({stem}.png)" in text for stem in result.figures)
    assert text.count("- holds: ") == len(result.conclusions)
    assert max(map(len, terminal(STUDIES[name], result)[: 3 + len(result.table.rows)])) <= 80
    PARTICULAR[name](result)


def zones(result: Study) -> None:
    rows = {row[0]: row for row in result.table.rows}
    assert set(rows) == {path.stem for path in (CONF / "activation").glob("*.yaml")}
    assert rows["relu"][4] == "h < 0"
    assert rows["hardtanh"][4] == "h < -1, h > 1"
    assert rows["identity"][3:] == ("", "")
    assert rows["leaky_relu"][4] == ""
    drawn = result.figures["activations"]
    assert [axes.get_title() for axes in drawn.axes if axes.get_visible()] == sorted(rows)
    relu = next(axes for axes in drawn.axes if axes.get_title() == "relu")
    value, slope = relu.lines
    assert np.allclose(value.get_ydata(), np.maximum(value.get_xdata(), 0), atol=1e-8)
    assert set(np.unique(slope.get_ydata())) == {0.0, 1.0}


def plateaus(result: Study) -> None:
    axes = result.figures["xor_plateaus"].axes[0]
    assert [text.get_text() for text in axes.texts] == ["ln 2 = 0.6931", "3/4 H(1/3) = 0.4774", "ln 2 / 2 = 0.3466"]
    assert len(axes.lines) == 3 + 8
    # Six moments of the film, each twice.
    assert len(result.figures["xor_moments"].axes) == 2 * len(xor.FRAMES)


def rates(result: Study) -> None:
    label = {row[0]: row[1] for row in result.table.rows}
    assert label["0.1"] in ("diverged", "oscillating")
    assert label["0.001"] in ("good", "best")
    assert label["0.0001"] == "too slow"
    assert list(label.values()).count("best") == 1
    assert texts(result.figures["learning_rate"]) == [f"{rate}: {said}" for rate, said in label.items()]


def stacks(result: Study) -> None:
    assert texts(result.figures["collapse"]) == [row[0] for row in result.table.rows]


def layers(result: Study) -> None:
    axes = result.figures["dead_units"].axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == [row[0] for row in result.table.rows]
    assert [len(bars) for bars in axes.containers] == [5] * 4
    assert texts(result.figures["dead_units"]) == ["relu, start", "relu, end", "leaky_relu, start", "leaky_relu, end"]


def ranks(result: Study) -> None:
    rows = {row[0]: row for row in result.table.rows}
    assert set(rows) == {path.stem for path in (CONF / "init").glob("*.yaml")}
    assert rows["zeros"][1:5] == ("0", "0", "1", "1")
    assert rows["constant"][1:5] == ("1", "1", "1", "1")
    assert rows["he_normal"][1:5] == ("32", "32", "32", "32")
    assert [len(axes.lines) for axes in result.figures["symmetry"].axes] == [13, 13]


def pairings(result: Study) -> None:
    assert [row[1:] for row in result.table.rows] == [
        ("trains", "refused", "refused"), ("trains", "trains", "refused"), ("trains", "refused", "trains"),
    ]  # fmt: skip
    assert len(result.figures["losses"].axes[0].lines) == 3


PARTICULAR = {
    "activations": zones,
    "xor": plateaus,
    "learning_rate": rates,
    "collapse": stacks,
    "dead_units": layers,
    "symmetry": ranks,
    "losses": pairings,
}


def test_the_plateaus_are_named() -> None:
    assert [xor.rest(loss) for loss in (log(2), 0.4774, 0.3466, 1e-3, 0.2)] == [
        "ln 2", "3/4 H(1/3)", "ln 2 / 2", "solved", "elsewhere",
    ]  # fmt: skip


@pytest.mark.slow
def test_c13_other_data_and_rates() -> None:
    """SGD on a regression, where rates that Adam would not survive are right, and NaN ends the highest."""
    typed = ("data=sine", "model.hidden=[32,32]", "activation=tanh", "optimizer=sgd", "trainer.max_epochs=30")
    result = learning_rate.learning_rate(True, [3, 0.02, 0.0005], typed)
    label = {row[0]: row[1] for row in result.table.rows}
    assert label["3"].startswith("diverged at step")
    assert label["0.02"] == "best"
    assert label["0.0005"] == "too slow"
    assert result.holds


def test_labels_come_from_the_curves() -> None:
    steps = np.arange(1, 401)
    made = {
        "falls": 2.0 * steps**-0.5,
        "as well": 2.2 * steps**-0.5,
        "slowly": 2.0 * steps**-0.05,
        "jumps": np.where(steps < 50, 2.0 + 30 * (steps > 3), 0.5) + 0.0,
        "up": 2.0 + 0.1 * steps,
        "dies": 2.0 * 10.0 ** steps[:20],
    }
    courses = {k: course([curve], 400) for k, curve in enumerate(made.values())}
    assert list(labels(courses).values()) == ["best", "good", "too slow", "oscillating", "diverged", "diverged"]
    assert courses[5] == Course(20.0, inf, inf, 20)
    # One that has learnt the problem is good, though another is a thousand times lower.
    assert labels({1: Course(1.0, 1.0, 1e-6, None), 2: Course(1.0, 1.0, 1e-2, None)}) == {1: "best", 2: "good"}
    # Of rates that all stand still none is best.
    assert set(labels({1: Course(1.0, 1.0, 0.99, None), 2: Course(1.0, 1.0, 0.98, None)}).values()) == {"too slow"}


def test_the_command(command, project: Path) -> None:
    listed = command("scripts/study.py")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(STUDIES)
    done = command("scripts/study.py", "activations", "--pages", str(project / "logs/pages"))
    assert done.returncode == 0, done.stderr
    assert (project / "logs/pages/activations.png").stat().st_size > 50_000
    assert (project / "logs/pages/activations.md").read_text().startswith("# What do activations let through? (C8)")
    for typed, message in (
        ("learningrate", "learningrate: no such study. Did you mean learning_rate?"),
        ("learning_rate rates=a", "rates=a: must be a list of numbers, as in rates=[0.1,0.01]."),
        ("learning_rate rates=[1]", "rates=[1.0]: must be two positive numbers at least"),
        ("learning_rate activation=reluu", "activation=reluu: no such option. Did you mean relu?"),
        ("rates=[1,2]", "rates=[1,2]: which study is it for?"),
        ("activations rates=[1,2]", "rates=[1,2]: activations has no such key. It takes none."),
        ("xor collapse", "xor collapse: write the name of one study, or --all alone."),
    ):
        wrong = command("scripts/study.py", *typed.split())
        assert (wrong.returncode, wrong.stdout) == (2, ""), typed
        assert wrong.stderr.startswith(f"error: {message}"), wrong.stderr
        assert wrong.stderr.count("\n") == 1


def test_a_conclusion_that_fails_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slope of the sigmoid made a half: the study's own number, not a sentence, decides."""
    monkeypatch.setattr(torch.nn.Sigmoid, "forward", lambda self, h: torch.sigmoid(2 * h))
    broken = activations.activations()
    assert not broken.holds
    assert [conclusion.holds for conclusion in broken.conclusions] == [False, True, True, True]
    assert "**fails**: the sigmoid" in page("activations", STUDIES["activations"], broken)
