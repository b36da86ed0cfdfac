"""The chapter's studies, run small: their conclusions, their pictures, and a fault in each that fails it."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import image
from matplotlib.figure import Figure
from PIL import Image

from gradpath.config.checks import PROJECT
from gradpath.config.composition import CONF
from gradpath.errors import RunFailed
from gradpath.studies import trainings
from gradpath.studies.chapter import (
    batch_size,
    challenge,
    depth,
    learning_rate,
    losses,
    optimizers,
    softmax_twice,
    xor,
)
from gradpath.studies.chapter.entries import STUDIES
from gradpath.studies.chapter.full_batch import train
from gradpath.studies.chapter.page import page, terminal
from gradpath.studies.chapter.registry import study
from gradpath.studies.chapter.study import Study
from gradpath.studies.pictures.film import save_film

# Studies that train for longer than a few seconds even when they are quick.
SLOW = tuple(name for name in STUDIES if name not in ("activations", "collapse"))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A place of its own: what was trained before is not read."""
    monkeypatch.setattr(trainings, "STUDIES", tmp_path)
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
    assert any(axes.get_xlabel() for axes in panels)
    assert any(axes.get_ylabel() for axes in panels)


def without_numbers(text: str) -> str:
    """A sign in front of points is part of what is concluded."""
    return re.sub(r"(?<![\w*])\d[\d.,]*(e[+-]?\d+)?", "#", text).replace("# +- # points", "# points").replace(" +- #%", "")


def as_on_its_page(name: str, result: Study) -> None:
    """A quick study concludes what its committed page concludes, or leaves it open."""
    page_ = (PROJECT / f"docs/studies/{name}.md").read_text()
    there = [without_numbers(text) for text in re.findall(r"^- holds: (.*?)\. Measured: ", page_, re.MULTILINE)]
    for conclusion in result.conclusions:
        assert not conclusion.fails, conclusion
        assert conclusion.holds is None or without_numbers(conclusion.statement) in there
    (found,) = re.findall(r"^\*\*Found:\*\* (.*)\.$", page_, re.MULTILINE)
    word, said = result.verdict.partition(": ")[::2]
    assert word == found.partition(": ")[0] or not result.conclusive
    shown = [part for part in said.split("; ") if part and not part.startswith("not shown: ")]
    parts = without_numbers(found.partition(": ")[2]).split("; ")
    assert word == "not shown" or all(without_numbers(part) in parts for part in shown), result.verdict


@pytest.mark.parametrize("name", ["activations", "collapse", *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)])
def test_study(name: str) -> None:
    """Its conclusions hold, its pictures can be read, and what is particular to it is there."""
    result = study(name, quick=True)
    as_on_its_page(name, result)
    assert len(result.conclusions) >= 2
    assert {len(row) for row in result.table.rows} == {len(result.table.header)}
    assert set(result.captions) == {*result.figures, *result.films}
    for figure in result.figures.values():
        legible(figure)
    for frames in result.films.values():
        assert len({pixels(frame).tobytes() for frame in frames}) == len(frames)
    text = page(STUDIES[name], result, f"python scripts/study.py {name} --quick")
    assert f"\npython scripts/study.py {name} --quick\n" in text
    assert all(f"({file})" in text for file in result.files)
    assert [text.count(f"\n- {word}: ") for word in ("holds", "not shown")] == [
        sum(conclusion.word == word for conclusion in result.conclusions) for word in ("holds", "not shown")
    ]
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
    assert len(result.films["xor_film"]) == len(xor.FILM[::5])
    assert texts(result.figures["xor"]) == ["class 0", "class 1"]


def rates(result: Study) -> None:
    label = {row[0]: row[1] for row in result.table.rows}
    assert label["0.1"] in ("diverged", "oscillating")
    assert label["0.001"] in ("good", "best")
    assert label["0.0001"] == "too slow"
    assert list(label.values()).count("best") == 1
    assert texts(result.figures["learning_rate"]) == [f"{rate}: {said}" for rate, said in label.items()]


def stacks(result: Study) -> None:
    assert texts(result.figures["collapse"]) == [row[0] for row in result.table.rows]
    assert [text.get_text() for text in result.figures["collapse"].axes[0].texts] == ["ln 2 = 0.6931"]


def layers(result: Study) -> None:
    axes = result.figures["dead_units"].axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == [row[0] for row in result.table.rows]
    assert texts(result.figures["dead_units"]) == ["relu, start", "relu, end", "leaky_relu, start", "leaky_relu, end"]


def ranks(result: Study) -> None:
    rows = {row[0]: row for row in result.table.rows}
    assert set(rows) == {path.stem for path in (CONF / "init").glob("*.yaml")}
    assert rows["zeros"][1:5] == ("0", "0", "1", "1")
    assert rows["constant"][1:5] == ("1", "1", "1", "1")
    assert rows["he_normal"][1:5] == ("32", "32", "32", "32")


def pairings(result: Study) -> None:
    cells = [["%" if "%" in cell else cell for cell in row[1:]] for row in result.table.rows]
    assert cells == [["trains", "refused", "refused"], ["%", "%", "refused"], ["%", "refused", "%"]]
    point, classes = result.figures["losses"].axes
    # |sigmoid(z) - 1|, 2 |sigmoid(z) - 1| sigmoid'(z), 2 |z - 1|.
    z = np.linspace(-8, 8, 321)
    p = 1 / (1 + np.exp(-z))
    for line, expected in zip(point.lines, (1 - p, 2 * (1 - p) ** 2 * p, 2 * abs(z - 1)), strict=True):
        assert np.allclose(line.get_ydata(), expected, atol=1e-12)
    assert [text.get_text() for text in point.get_legend().get_texts()] == list(losses.POINT)
    assert [text.get_text().split(",")[0] for text in classes.get_legend().get_texts()] == list(softmax_twice.WAYS)


def ways(result: Study) -> None:
    rows = [row[0] for row in result.table.rows]
    assert rows == ["sgd", "momentum", "rmsprop", "adam"]
    drawn = result.figures["optimizers"]
    assert texts(drawn) == rows
    # As many steps as the table says.
    assert [[len(line.get_xdata()) - 1 for line in axes.lines[:4]] for axes in drawn.axes] == [
        [int(row[k]) for row in result.table.rows] for k in (1, 2, 3)
    ]
    assert texts(result.figures["optimizers_mnist"]) == [f"{row[0]} at {row[5]}" for row in result.table.rows]


def sizes(result: Study) -> None:
    accuracies, gaps, noisy = result.figures["batch_size"].axes
    assert [list(line.get_xdata()) for line in accuracies.lines] == [[8, 32, 128, 256, 1024, 4096]] * 2
    assert gaps.lines[0].get_ydata() == pytest.approx([float(row[4].rstrip("%")) for row in result.table.rows], abs=0.06)
    labels = ["before training", "after training", "from single samples"]
    assert [text.get_text() for text in noisy.get_legend().get_texts()] == labels


def moments(result: Study) -> None:
    drawn = result.figures["batchnorm_placement"]
    assert [axes.get_title() for axes in drawn.axes] == ["at the start", "after one step", "after 30 steps"]
    assert texts(drawn) == [row[0] for row in result.table.rows] == ["none", "before", "after"]


def seeds(result: Study) -> None:
    assert [row[0] for row in result.table.rows] == ["0", "1"]
    assert texts(result.figures["challenge"]) == ["seed 0", "seed 1", "97 %"]


def profiles(result: Study) -> None:
    (drawn,) = result.figures.values()
    names = [row[0] for row in result.table.rows]
    assert texts(drawn) == [*names, "theory of wide networks"]


PARTICULAR = {
    "optimizers": ways,
    "batch_size": sizes,
    "batchnorm_placement": moments,
    "challenge": seeds,
    "vanishing": profiles,
    "exploding": profiles,
    "activations": zones,
    "xor": plateaus,
    "learning_rate": rates,
    "collapse": stacks,
    "dead_units": layers,
    "symmetry": ranks,
    "losses": pairings,
}


def test_a_film_is_played(tmp_path: Path) -> None:
    one = train(0, xor.FILMED, xor.FILM[-1], films=xor.FILM)
    save_film([xor.draw_frame(one, step) for step in xor.FILM[::25]], tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 3
        assert film.size == (880, 336)
        pictures = []
        for k in range(3):
            film.seek(k)
            pictures.append(film.convert("RGB").tobytes())
    assert len(set(pictures)) == 3


@pytest.mark.slow
def test_c13_other_data_and_rates() -> None:
    """SGD on a regression, where rates that Adam would not survive are right, and NaN ends the highest."""
    typed = ("data=sine", "model.hidden=[32,32]", "activation=tanh", "optimizer=sgd", "trainer.max_epochs=30")
    result = learning_rate.learning_rate(True, [3, 0.02, 0.0005], typed)
    label = {row[0]: row[1] for row in result.table.rows}
    assert label["3"].startswith("diverged at step")
    assert label["0.02"] == "best"
    assert label["0.0005"] == "too slow"
    # A regression has no accuracy to show.
    assert result.table.header[-1] == "end"
    assert all(result.table.rows[-1])
    assert {len(row) for row in result.table.rows} == {len(result.table.header)}
    assert result.holds


@pytest.mark.slow
def test_c13_a_loss_that_is_no_number() -> None:
    """Before any step: no learning rate is to blame, and none is labelled."""
    with pytest.raises(RunFailed, match="not finite before the first step, whatever the learning rate"):
        learning_rate.learning_rate(True, [0.1, 0.01], ("data=xor", "init=normal", "init.std=1e30", "model.hidden=[8,8,8]"))


ALL_LOSSES, ALL_WALKS = trainings.losses, optimizers.walks
# Of each study: what is broken, how, and the number of the conclusion that has to fail.
FAULTS = {
    # A linear network that is none.
    "xor": (torch.nn.Identity, "forward", lambda self, h: torch.tanh(h), 0),
    "collapse": (torch.nn.Identity, "forward", lambda self, h: torch.tanh(h), 0),
    # A LeakyReLU that leaks nothing.
    "dead_units": (torch.nn.LeakyReLU, "forward", lambda self, h: torch.relu(h), 1),
    # Momentum that remembers nothing.
    "optimizers": (optimizers, "walks", lambda surface, name, *rest: ALL_WALKS(surface, "sgd", *rest), 1),
    # Constants that differ.
    "symmetry": (torch.nn.init, "constant_", lambda weight, value: torch.nn.init.normal_(weight, value, 0.1), 0),
    # Softmax twice is softmax once: nothing makes it slower.
    "losses": (softmax_twice.torch, "softmax", lambda z, dim: z, 3),
    # Curves that end where they began.
    "learning_rate": (trainings, "losses", lambda folder: ALL_LOSSES(folder)[::-1], 0),
    # A BatchNorm that does nothing.
    "batchnorm_placement": (torch.nn.BatchNorm1d, "forward", lambda self, h: h, 0),
    # Batches that are all as noisy.
    "batch_size": (batch_size, "measured", lambda *args: 1.0, 0),
    # A goal that is not reached.
    "challenge": (challenge, "GOAL", 0.999, 0),
    # A healthy network in a sick one's place. (Not an activation that is broken: theory remembers what it has integrated.)
    "vanishing": (depth, "VANISHING", {**depth.VANISHING, depth.SIGMOID: depth.HEALTHY["ReLU, He"]}, 0),
    "exploding": (depth, "EXPLODING", {**depth.EXPLODING, depth.BATCH_NORM: depth.HEALTHY["ReLU, He"]}, 0),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_fails_its_conclusion(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, what, fault, number = FAULTS[name]
    monkeypatch.setattr(where, what, fault)
    broken = study(name, quick=True)
    conclusion = broken.conclusions[number]
    # The challenge in its quick form leaves open what more epochs may reach.
    assert conclusion.fails or (name == "challenge" and conclusion.holds is None), conclusion
    # The verdict on the chapter is open where what it rests on fails.
    assert broken.verdict.startswith("open") == bool(conclusion.fails and conclusion.supports)
