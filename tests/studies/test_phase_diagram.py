"""The plane of sigma_w^2 and sigma_b^2 against values computed elsewhere."""

from math import isnan

import numpy as np
import pytest

from gradpath.errors import ConfigError
from gradpath.studies.phase_diagram import edge_of_chaos, named, plane, row, standard_initialisations
from gradpath.theory.mean_field import mean_field

# sigma_w^2 with chi_1 = 1, by quadrature outside this project.
EDGE = [
    ("tanh", 0.01, 1.4242),
    ("tanh", 0.05, 1.7610),
    ("tanh", 0.1, 1.9861),
    ("elu", 0.05, 1.5337),
    ("selu", 0.1, 0.9803),
    ("relu", 0.01, 2.0),
    ("relu", 0.3, 2.0),
]


@pytest.mark.parametrize(("activation", "sigma_b2", "expected"), EDGE)
def test_edge_of_chaos(activation: str, sigma_b2: float, expected: float) -> None:
    assert edge_of_chaos(named(activation), sigma_b2, 0.5, 3.0) == pytest.approx(expected, abs=1e-4)


def test_gelu_jumps_past_the_edge() -> None:
    """Its points with chi_1 = 1 are unstable: inputs of mean square 1 go to another fixed point first."""
    assert isnan(edge_of_chaos(named("gelu"), 0.05, 1.0, 3.0))


def test_a_row_is_mean_field_theory() -> None:
    sigma_w2 = [0.5, 1.5, 2.0, 3.0]
    chi_1, xi_c, edge = row("tanh", sigma_w2, 0.05)
    fields = [mean_field("tanh", s, 0.05) for s in sigma_w2]
    assert (chi_1, xi_c) == ([f.chi_1 for f in fields], [f.xi_c for f in fields])
    assert xi_c[1:3] == pytest.approx([15.79, 25.21], rel=1e-3)
    assert edge == pytest.approx(1.7610, abs=1e-4)
    assert isnan(row("tanh", [0.5, 1.0], 0.05)[2])


@pytest.fixture
def in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting others takes longer than a small plane."""
    serially = "gradpath.studies.phase_diagram.in_parallel"
    monkeypatch.setattr(serially, lambda function, jobs: {name: function(*job) for name, job in jobs.items()})


@pytest.mark.usefixtures("in_one_process")
def test_the_plane_row_by_row() -> None:
    found = plane("relu", columns=5, rows=3)
    assert (found.sigma_w2[-1], found.sigma_b2[0], found.sigma_b2[-1]) == (4.0, 0.0, 0.3)
    assert found.chi_1 == pytest.approx(np.tile(found.sigma_w2 / 2, (3, 1)))
    assert found.edge == pytest.approx([2, 2, 2], abs=1e-5)
    # Lengths grow without end above 2, and correlations come to no rest.
    assert np.array_equal(np.isnan(found.xi_c), np.tile(found.sigma_w2 > 2, (3, 1)))


@pytest.mark.usefixtures("in_one_process")
def test_sigmoid_needs_a_wider_plane() -> None:
    """Its edge is at sigma_w^2 = 103."""
    found = plane("sigmoid", columns=8, rows=2)
    assert found.sigma_w2[0] < 1 < 100 < found.sigma_w2[-1]
    assert found.edge[0] == pytest.approx(103.0, abs=0.1)


def test_no_such_activation() -> None:
    with pytest.raises(ConfigError, match="Did you mean tanh"):
        plane("tnah")


MARKS = [
    ("tanh", [1 / 3, 1, 2, 25 / 9]),
    ("relu", [1 / 3, 1, 2]),
    ("sigmoid", [1 / 3, 1, 2]),
    ("gelu", [1 / 3, 1, 2, 2.3517]),
]


@pytest.mark.parametrize(("activation", "sigma_w2"), MARKS)
def test_standard_initialisations(activation: str, sigma_w2: list[float]) -> None:
    """Schemes that draw the same weights share a mark."""
    marks = standard_initialisations(activation, width=100)
    assert [place[0] for place in marks.values()] == pytest.approx(sigma_w2, abs=1e-4)
    assert [place[1] for place in marks.values()] == pytest.approx([1 / 300] + [0] * (len(sigma_w2) - 1), abs=1e-6)
    assert "LeCun\nXavier" in list(marks)[1]
