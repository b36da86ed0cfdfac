"""The verdict: the fitted line against simulation and SciPy, the findings on networks that have the fault they name."""

import numpy as np
import pytest
import torch
from scipy.stats import t
from torch import nn

from gradpath.config.composition import compose
from gradpath.data.batch import Batch
from gradpath.flow.profile import measure
from gradpath.model.network import MLP
from gradpath.model.objective import Objective, Task
from gradpath.run.build import build_run
from gradpath.verdict.anatomy import anatomy
from gradpath.verdict.gradient_class import read, slope_of, student_t
from gradpath.verdict.verdict import verdict


def judged(line: str, seed: int = 0) -> dict[str, object]:
    """The verdict with which a run of this command line starts."""
    config, choices = compose(*line.split(), f"seed={seed}")
    torch.manual_seed(seed)
    data, network, objective, _ = build_run(config, choices)
    return verdict(measure(network, objective, data.sample(256)), anatomy(network)).as_dict()


@pytest.mark.parametrize(
    ("deltas", "kind", "ratio", "rate"),
    [
        ((1e-3, 1e-2, 1e-1, 1.0), "vanishing", 1e-3, 0.1),
        ((8.0, 4.0, 2.0, 1.0), "healthy", 8.0, 2.0),
        ((1e4, 1e2, 1.0), "exploding", 1e4, 100.0),
        ((1e-300, 1e-150, 1.0), "vanishing", 1e-300, 1e-150),
    ],
)
def test_the_reading(deltas: tuple[float, ...], kind: str, ratio: float, rate: float) -> None:
    reading = read(deltas)
    assert reading.kind == kind
    assert reading.ratio == pytest.approx(ratio)
    assert reading.rate_per_layer == pytest.approx(rate)
    assert reading.interval == pytest.approx((rate, rate))


def test_the_reading_at_the_edges() -> None:
    assert (read([1.0]).kind, read([1.0, 1.0]).undecided) == (None, None)
    assert read([0.0, 1.0]).kind == "vanishing"
    # With output weights or a loss of zero nothing arrives that could vanish.
    assert read([0.0, 0.0]).kind is None
    # One block passes nothing on; the gradient goes around it.
    assert (read([0.5, 0.0, 0.4]).kind, read([0.5, 0.0, 0.4]).ratio) == ("healthy", 1.25)
    assert read([float("inf"), 1.0]).kind == "exploding"
    assert read([1.0, float("nan")]).kind == "exploding"
    assert read([2.0, 1.0]).interval is None
    assert (read([0.0101, 1.0]).kind, read([0.0099, 1.0]).kind) == ("healthy", "vanishing")
    assert (read([99.0, 1.0]).kind, read([101.0, 1.0]).kind) == ("healthy", "exploding")


def test_the_line_is_least_squares() -> None:
    heights = np.random.default_rng(0).normal(size=9)
    assert slope_of(heights)[0] == pytest.approx(np.polyfit(np.arange(9), heights, 1)[0])


@pytest.mark.parametrize("depth", [3, 5, 20])
def test_the_interval_covers_the_rate_of_independent_steps(depth: int) -> None:
    """The interval covers 95 % of 4000 random walks, whose steps stand for what layers do to log |delta|."""
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(4000):
        slope, margin = slope_of(np.cumsum(generator.normal(0.3, 0.5, size=depth)))
        covered += abs(slope - 0.3) <= margin
    assert covered / 4000 == pytest.approx(0.95, abs=0.012)


def test_students_t() -> None:
    for degrees in (1, 2, 3, 5, 10, 48):
        assert student_t(degrees) == pytest.approx(t.ppf(0.975, degrees), rel=2e-3)


def test_the_weight_gradient_hides_what_delta_shows() -> None:
    """|dW| looks flat while |delta| vanishes: 10 hidden layers of 256, ReLU, PyTorch's default weights, zero bias."""
    ratios = []
    for seed in range(3):
        torch.manual_seed(seed)
        network = MLP(256, [256] * 10, 10).double()
        for linear in network.linears:
            nn.init.zeros_(linear.bias)
        batch = Batch(torch.randn(256, 256, dtype=torch.float64), torch.randint(10, (256,)))
        table = measure(network, Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 10), batch)
        ratios.append((table[0].delta / table[9].delta, table[0].weight_grad_norm / table[9].weight_grad_norm))
        reading = verdict(table, anatomy(network)).as_dict()
        assert reading["class"] == "vanishing"
        assert reading["findings"][0]["cause"] == "initial scale"
        assert "PyTorch's default" in reading["findings"][0]["message"]
    delta, weight = (sum(column) / 3 for column in zip(*ratios, strict=True))
    assert delta == pytest.approx(3.4e-4, rel=0.3)
    assert 0.3 < weight < 3


SICK = [
    ("activation=sigmoid init=xavier_normal model=deep model.depth=12 model.width=100", "vanishing", "activation"),
    ("init=pytorch model=deep model.depth=14 model.width=100", "vanishing", "initial scale"),
    ("activation=tanh init=normal init.std=0.02 model=deep model.width=100", "vanishing", "initial scale"),
    ("activation=gelu init=lecun_normal model=deep model.depth=30 model.width=100", "vanishing", "initial scale"),
    ("init=normal init.std=0.25 model=deep model.width=100", "exploding", "initial scale"),
    ("activation=tanh init=normal init.std=0.3 model=deep model.width=100", "exploding", "initial scale"),
    ("norm=batch_before model=deep model.depth=40 model.width=100", "exploding", "BatchNorm"),
    ("norm=batch_after model=deep model.depth=40 model.width=100", "exploding", "BatchNorm"),
    ("activation=sigmoid norm=layer_before model=deep model.depth=10 model.width=100", "vanishing", "activation"),
    ("activation=silu init=critical model=deep model.depth=60 model.width=256", "exploding", "activation"),
    ("init=zeros model=deep model.depth=3", "symmetry", "symmetry"),
    ("init=constant model.hidden=[64,32]", "symmetry", "symmetry"),
]


@pytest.mark.parametrize(("line", "kind", "cause"), SICK, ids=[line for line, *_ in SICK])
def test_a_sick_network_and_its_remedy(line: str, kind: str, cause: str) -> None:
    """The fault is named in three findings at most; after the remedy there are none."""
    findings = judged(line)["findings"]
    assert (findings[0]["kind"], findings[0]["cause"]) == (kind, cause)
    assert 1 <= len(findings) <= 3
    groups = {text.partition("=")[0] for text in findings[0]["remedy"].split()}
    kept = [text for text in line.split() if text.partition("=")[0].partition(".")[0] not in groups]
    cured = judged(" ".join([*kept, findings[0]["remedy"]]))
    assert cured["class"] == "healthy" or cured["class"] is None
    assert cured["findings"] == []


def test_secondary_findings() -> None:
    chaotic = judged("activation=tanh init=normal init.std=0.3 model=deep model.width=100")["findings"]
    assert [finding["kind"] for finding in chaotic] == ["exploding", "saturation"]
    frozen = judged("activation=sigmoid init=xavier_normal model=deep model.depth=12 model.width=100")["findings"]
    assert [finding["kind"] for finding in frozen] == ["vanishing", "correlation_collapse"]
    assert frozen[1]["layer"] == "hidden_12"


def test_dead_units() -> None:
    torch.manual_seed(0)
    network = MLP(5, [20, 20], 3)
    with torch.no_grad():
        network.linears[1].bias.fill_(-100)
    objective = Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 3)
    table = measure(network, objective, Batch(torch.randn(50, 5), torch.randint(3, (50,))))
    kinds = {finding["kind"]: finding["layer"] for finding in verdict(table, anatomy(network)).as_dict()["findings"]}
    assert kinds["dead_units"] == "hidden_02"


@pytest.mark.parametrize("depth", [2, 10, 50, *(pytest.param(depth, marks=pytest.mark.slow) for depth in (5, 20, 35))])
def test_no_false_alarm_on_relu_with_he(depth: int) -> None:
    for seed in range(3):
        reading = judged(f"model=deep model.depth={depth} model.width=256", seed)
        assert reading["class"] == "healthy"
        assert reading["findings"] == []


@pytest.mark.parametrize("activation", ["tanh", "gelu", "silu", "elu", "selu", "softplus", "sigmoid", "leaky_relu", "erf"])
def test_no_false_alarm_at_the_critical_scale(activation: str) -> None:
    reading = judged(f"activation={activation} init=critical model=deep model.depth=20 model.width=300")
    assert reading["class"] == "healthy"
    assert reading["findings"] == []


def test_any_module_has_an_anatomy() -> None:
    body = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.GELU(), nn.Linear(4, 4), nn.BatchNorm1d(4), nn.GELU())
    found = anatomy(nn.Sequential(body, nn.Linear(4, 2)))
    assert (found.name, found.norm, found.after) == ("GELU", "BatchNorm", False)
    found = anatomy(nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 2)))
    assert (found.name, found.norm, found.after) == ("Tanh", "LayerNorm", True)
    assert anatomy(nn.Linear(4, 2)).name == "its activation"
