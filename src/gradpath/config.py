"""The schema of conf/: which keys there are, their types and ranges, and which combinations are impossible.

Every YAML file of conf/ is checked against these dataclasses. A key that the schema does not name belongs to a user's own
option file; its type is that of the file's value. Nothing here imports torch: a mistake answers at once.
"""

import difflib
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from gradpath.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Limits:
    """Bounds of a number (or of each number in a list) and the words a string may be."""

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    words: tuple[str, ...] = ()

    def broken_by(self, value: object) -> str | None:
        """What `value` had to be, or None when it keeps the limits."""
        if isinstance(value, str):
            return None if not self.words or value in self.words else f"must be {alternatives(self.words)}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        # Asked so that NaN, which compares false with everything, breaks every limit.
        if self.gt is not None and not value > self.gt:
            return f"must be greater than {self.gt:g}"
        if self.ge is not None and not value >= self.ge:
            return f"must be at least {self.ge:g}"
        if self.lt is not None and not value < self.lt:
            return f"must be less than {self.lt:g}"
        if self.le is not None and not value <= self.le:
            return f"must be at most {self.le:g}"
        return None


Count = Annotated[int, Limits(ge=1)]
Seed = Annotated[int, Limits(ge=0, lt=2**32)]
Positive = Annotated[float, Limits(gt=0)]
NotNegative = Annotated[float, Limits(ge=0)]
Decay = Annotated[float, Limits(ge=0, lt=1)]
Fraction = Annotated[float, Limits(ge=0, le=1)]
Batches = Annotated[int | float, Limits(ge=0)]


@dataclass
class Root:
    seed: Seed
    resume: str | None
    fail_on_divergence: bool
    allowed_targets: list[str]


@dataclass
class Data:
    dataset: str
    root: str
    batch_size: Count
    limit: Annotated[int | None, Limits(ge=2)]
    epochs: Count
    validation: Count
    split_seed: Seed
    data_seed: Seed
    mean: float
    std: Positive
    steps_per_epoch: Count
    samples: Annotated[int, Limits(ge=20)]
    noise: NotNegative
    features: Count
    classes: Annotated[int, Limits(ge=2)]


@dataclass
class Model:
    hidden: Annotated[list[int], Limits(ge=1)]
    depth: Annotated[int, Limits(ge=0)]
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
    eps: NotNegative
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
    lr: Positive
    momentum: Decay
    nesterov: bool
    betas: Annotated[tuple[float, float], Limits(ge=0, lt=1)]
    alpha: Decay
    eps: Positive
    weight_decay: NotNegative
    momentum_decay: NotNegative
    lr_decay: NotNegative
    fused: bool | None


@dataclass
class Schedule:
    floor: Fraction
    warmup: Fraction
    gamma: Annotated[float, Limits(gt=0, le=1)]
    drops: Count


@dataclass
class Probe:
    every: Annotated[int | None, Limits(ge=1)]


@dataclass
class Trainer:
    accelerator: Annotated[str, Limits(words=("auto", "cpu", "gpu", "cuda", "mps"))]
    devices: Annotated[int | str | list[int], Limits(ge=-1)]
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


# In the order of a run's story: what is learnt, by what, how. Run names follow it.
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


def check(config: Mapping[str, Any]) -> None:
    """Raises ConfigError for the first wrong type, value out of range, forbidden target or impossible combination.

    `config` is the whole configuration, resolved, as plain dicts and lists.
    """
    _check_fields(Root, {key: value for key, value in config.items() if key not in GROUPS}, "")
    for group, schema in GROUPS.items():
        _check_fields(schema, config[group], f"{group}.")
    _check_targets(config)
    _check_combinations(config)


def risks(config: Mapping[str, Any], choices: Mapping[str, str]) -> list[str]:
    """Legal but risky combinations, one sentence each, with what to do instead."""
    activation, init, hidden = choices["activation"], choices["init"], config["model"]["hidden"]
    norm = config["norm"]["placement"]
    found = []
    if init in ("zeros", "constant") and hidden:
        found.append(
            f"init={init} makes all units of a layer equal, and they stay equal: only symmetry-breaking schemes such as "
            "init=he_normal or init=xavier_normal learn features"
        )
    if activation in ("sigmoid", "tanh") and init.startswith("he_") and norm == "none":
        found.append(
            f"init={init} was derived for ReLU; with activation={activation} try init=xavier_normal, or init=critical"
        )
    if activation == "selu" and init != "lecun_normal" and norm == "none":
        found.append("activation=selu normalises itself only with init=lecun_normal")
    if activation == "sigmoid" and len(hidden) >= 8 and norm == "none" and init != "critical":
        found.append(
            f"{len(hidden)} sigmoid layers lose a factor of about four of the gradient each: try init=critical, "
            "norm=batch_before or activation=relu"
        )
    return found


def nearest(word: str, allowed: Iterable[str]) -> str:
    """` (did you mean x?)`, or nothing when no allowed word is close."""
    match = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f" Did you mean {match[0]}?" if match else ""


def alternatives(words: Iterable[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *rest, last = list(words)
    return f"{', '.join(rest)} or {last}" if rest else last


def leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of a nested configuration as a dotted path with its value; lists and null are values."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _check_fields(schema: type, values: Mapping[str, Any], prefix: str) -> None:
    hints = get_type_hints(schema, include_extras=True)
    for key, value in values.items():
        if key in hints:
            _check_value(f"{prefix}{key}", value, hints[key])


def _check_value(name: str, value: Any, hint: Any) -> None:
    limits = Limits()
    if get_origin(hint) is Annotated:
        hint, limits = get_args(hint)
    nested = next((option for option in _options(hint) if hasattr(option, "__dataclass_fields__")), None)
    if nested is not None and isinstance(value, Mapping):
        _check_fields(nested, value, f"{name}.")
        return
    shown = "null" if value is None else str(value).replace(" ", "")
    if not any(_conforms(value, option) for option in _options(hint)):
        raise ConfigError(f"{name}={shown}: must be {alternatives(_type_words(hint))}.")
    for number in value if isinstance(value, list) else [value]:
        broken = limits.broken_by(number)
        if broken:
            each = "each value " if isinstance(value, list) else ""
            near = nearest(number, limits.words) if isinstance(number, str) else ""
            raise ConfigError(f"{name}={shown}: {each}{broken}.{near}")


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _conforms(value: Any, hint: Any) -> bool:
    if hint is type(None):
        return value is None
    if get_origin(hint) is list:
        return isinstance(value, list) and all(_conforms(item, get_args(hint)[0]) for item in value)
    if get_origin(hint) is tuple:
        kinds = get_args(hint)
        return isinstance(value, list) and len(value) == len(kinds) and all(map(_conforms, value, kinds))
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, int | float) if hint is float else isinstance(value, hint)


def _type_words(hint: Any) -> Iterator[str]:
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a word", type(None): "null"}
    for option in _options(hint):
        if get_origin(option) is list:
            item = {int: "whole numbers", str: "words"}[get_args(option)[0]]
            yield f"a list of {item}, such as {'[64,64]' if item == 'whole numbers' else '[a,b]'}"
        elif get_origin(option) is tuple:
            yield f"a list of {len(get_args(option))} numbers, such as [0.9,0.999]"
        else:
            yield words.get(option, "a group of keys")


def _check_targets(config: Mapping[str, Any]) -> None:
    allowed = tuple(config["allowed_targets"])
    for key, value in leaves(config):
        if key.rsplit(".", 1)[-1] == "_target_" and value is not None and not str(value).startswith(allowed):
            raise ConfigError(
                f"{key}={value}: must start with {alternatives(allowed)} (add your own package to allowed_targets "
                "in conf/config.yaml)."
            )


def _check_combinations(config: Mapping[str, Any]) -> None:
    data, trainer = config["data"], config["trainer"]
    devices = trainer["devices"] if isinstance(trainer["devices"], int) and trainer["devices"] > 0 else 1
    batch = data.get("batch_size", devices * 2)
    if trainer["devices"] == 0:
        raise ConfigError("trainer.devices=0: must be at least 1, or -1 for all there are.")
    if batch % devices:
        raise ConfigError(
            f"data.batch_size={batch}: must be a multiple of trainer.devices={devices}, which share each batch."
        )
    layer = config["norm"]["layer"]
    if layer and "BatchNorm" in str(layer["_target_"]) and batch // devices == 1:
        raise ConfigError(
            f"data.batch_size={batch}: BatchNorm needs at least 2 samples per process; use data.batch_size="
            f"{2 * devices} or more, or norm=layer_before."
        )
    if config["model"]["output"] == "softmax" and str(config["loss"]["_target_"]).endswith("CrossEntropyLoss"):
        raise ConfigError(
            "model.output=softmax: cross-entropy applies the softmax itself, and twice flattens the gradient; use "
            "model.output=none."
        )
