"""What the picture in TensorBoard's Images tab draws over depth."""

import numpy as np
import pytest

from gradpath.flow.record import Record
from gradpath.run.heatmap import heatmap


def record(**lines: np.ndarray) -> Record:
    made = Record(["hidden_01", "hidden_02", "hidden_03", "output"], ["delta"])
    for step in range(3):
        made.add(step, np.array([[1.0, 2.0, 4.0, 3.0]]))
    made.lines = lines
    return made


def test_theory_over_depth() -> None:
    delta = np.array([0.9, 1.9, 4.0, np.nan])
    band = np.stack([0.8 * delta, 1.25 * delta])
    _, right, *_ = heatmap(record(theory_delta=delta, theory_delta_band=band)).axes
    (line,) = [line for line in right.lines if line.get_label() == "theory"]
    assert line.get_xdata() == pytest.approx([0.225, 0.475, 1.0])
    assert line.get_ydata().tolist() == [1, 2, 3]
    extent = right.collections[0].get_paths()[0].get_extents()
    assert (extent.x0, extent.x1) == pytest.approx((0.18, 1.25))


@pytest.mark.parametrize(
    "lines",
    [
        {},
        {"theory_delta": np.zeros(4), "theory_delta_band": np.zeros((2, 4))},
        {"theory_delta": np.full(4, np.inf), "theory_delta_band": np.full((2, 4), np.inf)},
    ],
    ids=["no theory", "no gradient", "not finite"],
)
def test_no_line_where_theory_says_nothing(lines: dict[str, np.ndarray]) -> None:
    _, right, *_ = heatmap(record(**lines)).axes
    assert "theory" not in [line.get_label() for line in right.lines]
