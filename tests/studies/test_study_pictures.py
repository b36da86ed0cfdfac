"""What the studies' pictures draw."""

import io

import numpy as np
import pytest
from matplotlib import image
from matplotlib.figure import Figure

from gradpath.studies.pictures.phase_plane import phase_diagram
from gradpath.studies.pictures.trainability_map import borders, trainability

SIGMA_W2, SIGMA_B2 = np.linspace(0.5, 3.5, 7), np.array([0.0, 0.1, 0.2, 0.3])
CHI_1 = np.tile(SIGMA_W2 / 2, (4, 1))


def pixels(figure: Figure) -> np.ndarray:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    file.seek(0)
    return image.imread(file)


def diagram(xi_c: np.ndarray, edge: float = 2.0) -> Figure:
    return phase_diagram("relu", SIGMA_W2, SIGMA_B2, CHI_1, xi_c, np.full(4, edge), {"LeCun": (1.0, 0.0), "He": (2.0, 0.0)})


def test_phase_diagram() -> None:
    figure = diagram(np.where(CHI_1 < 1, 5.0, 20.0))
    axes = figure.axes[0]
    assert {text.get_text().splitlines()[0] for text in axes.texts} == {"ordered", "chaotic"}
    for text in axes.texts:
        side = text.get_position()[0] < 2
        assert side == text.get_text().startswith("ordered")
    edge, *marks = axes.lines
    assert (edge.get_xdata().tolist(), edge.get_ydata().tolist()) == ([2.0] * 4, SIGMA_B2.tolist())
    assert [tuple(mark.get_xydata()[0]) for mark in marks] == [(1.0, 0.0), (2.0, 0.0)]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [edge.get_label(), "LeCun", "He"]
    assert len(np.unique(pixels(figure).reshape(-1, 4), axis=0)) > 20


def test_phase_diagram_without_fixed_points() -> None:
    figure = diagram(np.where(CHI_1 < 1, 5.0, np.nan), edge=np.nan)
    assert [text.get_text().splitlines()[0] for text in figure.axes[0].texts] == ["ordered", "unbounded"]
    assert figure.legends[0].get_texts()[0].get_text().startswith("no fixed point")
    # The hatched half is not what it is where there are colours.
    assert not np.array_equal(pixels(figure), pixels(diagram(np.where(CHI_1 < 1, 5.0, 20.0), edge=np.nan)))


@pytest.mark.parametrize("edges", [(1.1, 1.8), (1.0, 1.0), (1.5, 4.0), (0.3, 0.45), (3.9, 4.0)])
def test_names_lie_within_their_phases(edges: tuple[float, float]) -> None:
    """Chaos as narrow as SELU's, none at all, a plane that is almost one phase: no name on a border or on another."""
    sigma_w2, sigma_b2 = np.linspace(0.02, 4, 81), np.linspace(0, 0.3, 41)
    chaos, unbounded = edges
    chi_1 = np.tile(np.where(sigma_w2 < chaos, 0.5, 2.0), (41, 1))
    xi_c = np.tile(np.where(sigma_w2 < unbounded, 5.0, np.nan), (41, 1))
    figure = phase_diagram("phi", sigma_w2, sigma_b2, chi_1, xi_c, np.full(41, chaos), {"He": (2.0, 0.0)})
    figure.canvas.draw()
    axes = figure.axes[0]
    bounds = {"ordered": (0.0, chaos), "chaotic": (chaos, unbounded), "unbounded": (unbounded, 4.0)}
    assert axes.texts
    for text in axes.texts:
        (left, bottom), (right, top) = axes.transData.inverted().transform(text.get_window_extent())
        low, high = bounds[text.get_text().splitlines()[0]]
        assert low <= left < right <= high
        assert 0 < bottom < top < 0.3


def test_trainability() -> None:
    accuracy = np.array([[0.9, 0.1], [0.1, np.nan]])
    curve = np.linspace(1, 2, 5), np.array([5.0, 10, np.inf, 10, 5])
    figure = trainability(np.array([1.0, 2.0]), np.array([4.0, 16.0]), accuracy, curve, 1.5, "tanh")
    mesh = figure.axes[0].collections[0]
    assert np.array_equal(mesh.get_array().filled(np.nan), accuracy, equal_nan=True)
    drawn, critical = figure.axes[0].lines
    assert np.array_equal(drawn.get_xydata(), np.stack(curve, 1))
    assert set(critical.get_xdata()) == {1.5}
    assert len(np.unique(pixels(figure).reshape(-1, 4), axis=0)) > 20


def test_borders() -> None:
    assert borders(np.array([1.0, 2.0, 4.0])).tolist() == [0.5, 1.5, 3.0, 5.0]
    assert np.exp(borders(np.log([4.0, 16.0]))) == pytest.approx([2, 8, 32])
