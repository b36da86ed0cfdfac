"""The schema of conf/: its keys, their types and their ranges.

Every YAML file in conf/ is checked against these dataclasses. A key that no dataclass names belongs to a user's own option
file. Its type is the type of the value in that file.
"""

import sys
from dataclasses import dataclass
from typing import Annotated

from gradpath.errors import alternatives
from gradpath.finding_names import KINDS


@dataclass(frozen=True)
class Limits:
    """Bounds of a number (or of each number in a list), and the words that a string may be."""

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    words: tuple[str, ...] = ()

    def broken_by(self, value: object) -> str | None:
        """A phrase that says what `value` must be, or None if it is within the limits."""
        if isinstance(value, str):
            return None if not self.words or value in self.words else f"must be {alternatives(self.words)}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        # A whole number of more than 308 digits is larger than any that can be computed with.
        if abs(value) > sys.float_info.max:
            return "must be a finite number"
        # Written as `not value > limit` because NaN compares false with everything, and must break every limit.
        if self.gt is not None and not value > self.gt:
            return f"must be greater than {_written(self.gt)}"
        if self.ge is not None and not value >= self.ge:
            return f"must be at least {_written(self.ge)}"
        if self.lt is not None and not value < self.lt:
            return f"must be less than {_written(self.lt)}"
        if self.le is not None and not value <= self.le:
            return f"must be at most {_written(self.le)}"
        return None


def _written(limit: float) -> str:
    return str(limit) if isinstance(limit, int) else f"{limit:g}"


# No run counts further, and torch holds every number up to here.
MOST = 10**9
# A list of layers is built before anything else is known of them.
DEEPEST = 10_000
# Beyond it a learning rate leaves float32 in an optimiser's first step.
LARGEST = 1e30

Count = Annotated[int, Limits(ge=1, le=MOST)]
Seed = Annotated[int, Limits(ge=0, lt=2**32)]
Positive = Annotated[float, Limits(gt=0)]
NotNegative = Annotated[float, Limits(ge=0)]
Decay = Annotated[float, Limits(ge=0, lt=1)]
Rate = Annotated[float, Limits(gt=0, le=LARGEST)]
WeightDecay = Annotated[float, Limits(ge=0, le=LARGEST)]
Fraction = Annotated[float, Limits(ge=0, le=1)]
Batches = Annotated[int | float, Limits(gt=0, le=MOST)]


@dataclass
class Root:
    seed: Seed
    resume: str | None
    fail_on_divergence: bool
    fail_on: Annotated[list[str], Limits(words=KINDS)]


@dataclass
class Data:
    dataset: str
    root: str
    batch_size: Count
    limit: Annotated[int | None, Limits(ge=2, le=MOST)]
    epochs: Count
    validation: Count
    split_seed: Seed
    data_seed: Seed
    mean: float
    std: Positive
    steps_per_epoch: Count
    samples: Annotated[int, Limits(ge=20, le=MOST)]
    noise: NotNegative
    features: Count
    classes: Annotated[int, Limits(ge=2, le=MOST)]


@dataclass
class Model:
    hidden: Annotated[list[int], Limits(ge=1, le=MOST)]
    depth: Annotated[int, Limits(ge=0, le=DEEPEST)]
    width: Count
    output: Annotated[str, Limits(words=("none", "sigmoid", "softmax"))]


@dataclass
class Activation:
    negative_slope: NotNegative
    alpha: Positive
    beta: Positive


@dataclass
class Init:
    gain: Annotated[float | str, Limits(gt=0, words=("auto",))]
    mode: Annotated[str, Limits(words=("fan_in", "fan_out"))]
    sigma_b2: NotNegative
    std: NotNegative
    value: float
    tolerance: Positive
    max_passes: Count


@dataclass
class NormLayer:
    eps: Positive
    momentum: Annotated[float | None, Limits(ge=0, le=1)]


@dataclass
class Norm:
    placement: Annotated[str, Limits(words=("none", "before", "after"))]
    layer: NormLayer | None


@dataclass
class Loss:
    tasks: Annotated[list[str], Limits(words=("regression", "binary", "multiclass"))]


@dataclass
class Optimizer:
    lr: Rate
    momentum: Decay
    nesterov: bool
    betas: Annotated[tuple[float, float], Limits(ge=0, lt=1)]
    alpha: Decay
    eps: Rate
    weight_decay: WeightDecay
    momentum_decay: WeightDecay
    lr_decay: WeightDecay
    fused: bool | None


@dataclass
class Schedule:
    floor: Fraction
    warmup: Fraction
    gamma: Annotated[float, Limits(gt=0, le=1)]
    drops: Count


@dataclass
class Probe:
    every: Annotated[int | str | None, Limits(ge=1, le=MOST, words=("auto",))]
    slow_every: Count
    activations: bool
    correlation: bool
    rank: bool
    histograms: bool
    jacobian: bool


@dataclass
class Trainer:
    accelerator: Annotated[str, Limits(words=("auto", "cpu", "gpu", "cuda", "mps"))]
    devices: Annotated[int | str | list[int], Limits(ge=-1, le=1024)]
    strategy: str
    precision: Annotated[str, Limits(words=("32-true", "64-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true"))]
    max_epochs: Count
    accumulate_grad_batches: Count
    gradient_clip_val: Annotated[float | None, Limits(gt=0)]
    log_every_n_steps: Count
    limit_train_batches: Batches
    limit_val_batches: Batches
    limit_test_batches: Batches
    deterministic: bool


@dataclass
class Sweep:
    name: str | None
    resume: bool
    retry: Annotated[str | None, Limits(words=("failed", "pruned"))]
    join: bool
    fail_fast: bool
    dry_run: bool
    limit: Count
    zip: list[str]
    objective: str | list[str]
    common_data: bool


@dataclass
class Sweeper:
    """The keys of hydra/sweeper=optuna."""

    n_trials: Count
    direction: Annotated[str | list[str], Limits(words=("auto", "minimize", "maximize"))]
    sampler: Annotated[str, Limits(words=("tpe", "random", "nsga2"))]
    seed: Annotated[int | None, Limits(ge=0, lt=2**32)]
    prune: bool
    warmup: Annotated[int, Limits(ge=0)]


# In the order of a run's story: what is learnt, by what, how. The terminal lists the choices in this order.
GROUPS: dict[str, type] = {
    "data": Data,
    "model": Model,
    "activation": Activation,
    "init": Init,
    "norm": Norm,
    "loss": Loss,
    "optimizer": Optimizer,
    "schedule": Schedule,
    "probe": Probe,
    "trainer": Trainer,
}
