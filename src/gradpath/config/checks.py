"""Checks a configuration against the schema, and for combinations that are impossible or risky.

Nothing here imports torch, so a mistake is reported at once.
"""

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from gradpath.config.objective import check_objective
from gradpath.config.renamed_targets import current
from gradpath.config.schema import GROUPS, Limits, NormLayer, Root, Sweep, Sweeper
from gradpath.config.shipped import TARGETS
from gradpath.config.target_names import check_names
from gradpath.errors import ConfigError, alternatives, nearest

PROJECT = Path(__file__).resolve().parents[3]
# Keys that a run itself uses, whatever the target.
SHARED = {"data": ("batch_size", "epochs"), "norm": ("placement",)}


def check(config: Mapping[str, Any]) -> None:
    """Raises ConfigError for the first wrong type, value out of range, forbidden target or impossible combination.

    Args:
        config: the whole configuration, resolved, as plain dicts and lists.
    """
    _check_fields(Root, {key: value for key, value in config.items() if key not in GROUPS}, "")
    for group, schema in GROUPS.items():
        if not isinstance(config.get(group), Mapping):
            holds = "no group of keys" if config.get(group) else "empty"
            raise ConfigError(f"{group}: the option's file is {holds}.")
        _check_group(group, schema, config[group])
    check_names(config)
    _check_combinations(config)


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raises ConfigError for the first wrong type or value out of range among the keys of `sweep`."""
    _check_fields(Sweep, settings, "sweep.")
    name = settings["name"]
    # Any other character would have to be put in quotes, for Hydra's grammar or for the shell's.
    if name is not None and (not name.strip(".") or len(name) > 100 or not re.fullmatch(r"[A-Za-z0-9._-]+", name)):
        raise ConfigError(f"sweep.name={name}: must be a folder's name of at most 100 letters, digits, - _ and . alone.")
    check_objective(settings["objective"])
    together = settings["zip"]
    shown = f"sweep.zip=[{','.join(together)}]"
    if len(together) == 1:
        raise ConfigError(f"{shown}: must be at least two keys, which change together.")
    if len({*together}) < len(together):
        raise ConfigError(f"{shown}: names a key twice.")


def check_sweeper(keys: Mapping[str, Any]) -> None:
    """Raises ConfigError for the first wrong type or value out of range among the keys of hydra/sweeper=optuna."""
    _check_fields(Sweeper, keys, "hydra.sweeper.")


def check_types(config: Mapping[str, Any]) -> None:
    """Raises ConfigError for the first wrong type or value out of range in an unresolved configuration.

    Values that are still to be computed are passed over.
    """
    for group, schema in GROUPS.items():
        known = {key: value for key, value in config[group].items() if "${" not in str(value)}
        _check_group(group, schema, known)


def risks(config: Mapping[str, Any], choices: Mapping[str, str], task: str, scale: bool = True) -> list[str]:
    """One sentence for each legal but risky combination, with what to do instead.

    Args:
        task: the task of the data: "regression", "binary" or "multiclass".
        scale: whether to warn of the initial scale too. (Theory may have a better remedy for this very network.)
    """
    activation, init, hidden = choices["activation"], choices["init"], config["model"]["hidden"]
    norm, output = config["norm"]["placement"], config["model"]["output"]
    found = []
    if init in ("zeros", "constant") and hidden:
        found.append(
            f"init={init} makes all units of a layer equal, and they stay equal: only symmetry-breaking schemes such as "
            "init=he_normal or init=xavier_normal learn features"
        )
    if activation in ("sigmoid", "tanh") and init.startswith("he_") and norm == "none" and scale:
        found.append(
            f"init={init} was derived for ReLU; with activation={activation} try init=xavier_normal, or init=critical"
        )
    if activation == "selu" and init != "lecun_normal" and norm == "none":
        found.append("activation=selu normalises itself only with init=lecun_normal")
    if choices["loss"] == "mse" and task == "multiclass":
        worst = ", by far with the wide outputs of init=he_normal" if output == "none" and init == "he_normal" else ""
        remedy = "loss=auto" + (" model.output=none" if output != "none" else "")
        found.append(f"loss=mse on many classes learns slower than cross-entropy{worst}: use {remedy}")
    if choices["loss"] == "mse" and output != "none" and task != "regression":
        found.append(
            f"loss=mse behind model.output={output}: a sample that is confidently wrong sends back hardly any gradient; use "
            "loss=auto model.output=none"
        )
    if len(hidden) < 2 and choices["optimizer"] == "muon":
        found.append("optimizer=muon has no hidden matrix to work on here: every parameter goes to its AdamW")
    if norm != "none" and "batch" in choices["norm"] and config["trainer"]["devices"] not in (1, "auto"):
        found.append("on CPUs each process normalises its own share of a batch: expect other results than with one process")
    return found


def check_model(option: str, hidden: list[int]) -> None:
    """Raises ConfigError if `hidden`, typed or set by an experiment, has more or fewer layers than the model allows."""
    layers = {"perceptron": 0, "two_layer": 1}.get(option)
    if layers is not None and len(hidden) != layers:
        has = "has no hidden layer" if layers == 0 else "has one hidden layer"
        shown = ",".join(map(str, hidden))
        raise ConfigError(f"model.hidden=[{shown}]: model={option} {has}; use model=mlp.")


def check_kind(key: str, value: Any, default: Any) -> None:
    """Checks a key that the schema does not name: it is a user's own, and must keep the type of the file's value."""
    *groups, name = key.split(".")
    schema = NormLayer if groups == ["norm", "layer"] else GROUPS[groups[0]] if groups else Root
    if name in schema.__annotations__ or "${" in str(default):
        return
    kinds = {bool: "true or false", int: "a whole number", float: "a number", list: "a list"}
    numbers = isinstance(value, int | float) and not isinstance(value, bool) and isinstance(default, float)
    if type(default) in kinds and not numbers and not isinstance(value, type(default)):
        raise ConfigError(f"{key}={value}: must be {kinds[type(default)]}, like the {default} in the option's file.")


def check_sharing(batch_size: int, processes: int) -> None:
    """Raises ConfigError if a batch cannot be split into equal shares, one per process."""
    if batch_size % processes:
        raise ConfigError(f"data.batch_size={batch_size}: must be a multiple of the {processes} processes that share it.")


def check_resumed(saved: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Raises ConfigError if a continued run would differ from the one that `saved` began.

    Only `trainer.*`, `data.epochs`, `fail_on`, `fail_on_divergence` and `resume` may change.
    """
    before = dict(leaves(saved))
    for key, value in leaves(config):
        free = key.startswith("trainer.") or key in ("resume", "fail_on", "fail_on_divergence", "data.epochs")
        if not free and value != before.get(key):
            raise ConfigError(f"{key}={value}: the run to resume has {before.get(key)}; only trainer.* keys can change.")


def leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields each key of a nested configuration as a dotted path, with its value. Lists and null are values."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _check_group(group: str, schema: type, node: Mapping[str, Any]) -> None:
    """Checks the keys of a group. The ranges are those of our own targets: another optimiser's `eps` may be a list."""
    try:
        _check_fields(schema, node, f"{group}.")
    except ConfigError:
        inner = node.get("layer") if group == "norm" else node
        target = inner.get("_target_") if isinstance(inner, Mapping) else None
        if target is None or current(str(target)) in TARGETS.get(group, ()):
            raise
        kept = {key: value for key, value in node.items() if key in SHARED.get(group, ())}
        _check_fields(schema, kept, f"{group}.")


def is_ours(group: str, node: Mapping[str, Any]) -> bool:
    """Whether a group's `_target_` is one of an option file that we ship, and the schema knows all its keys."""
    inner, known = (node.get("layer"), NormLayer) if group == "norm" else (node, GROUPS[group])
    if not isinstance(inner, Mapping):
        return True
    target = inner.get("_target_")
    shipped = target is None or current(str(target)) in TARGETS.get(group, ())
    return shipped and set(inner) <= {"_target_", *known.__annotations__}


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
    shown = _shown(value)
    if not any(_conforms(value, option) for option in _options(hint)):
        kinds = _type_words(hint, limits.words)
        several = f" Several values are a sweep: -m {name}={shown[1:-1]}." if isinstance(value, list) and _one(hint) else ""
        raise ConfigError(f"{name}={shown}: must be {alternatives(kinds)}.{several}")
    for number in value if isinstance(value, list) else [value]:
        broken = limits.broken_by(number)
        if broken and isinstance(number, str) and not isinstance(value, list):
            broken = f"must be {alternatives(_type_words(hint, limits.words))}"
        if broken:
            each = "each value " if isinstance(value, list) else ""
            near = nearest(number, limits.words) if isinstance(number, str) else ""
            raise ConfigError(f"{name}={shown}: {each}{broken}.{near}")


def _shown(value: Any) -> str:
    """A value as it is typed."""
    return re.sub(r"\b(True|False)\b", lambda found: found[0].lower(), str(value).replace(" ", "").replace("None", "null"))


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _one(hint: Any) -> bool:
    """Whether a key takes no list."""
    return not any(get_origin(option) in (list, tuple) for option in _options(hint))


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


def _type_words(hint: Any, allowed: Sequence[str]) -> Iterator[str]:
    """What a value may be.

    Args:
        allowed: the words that a string may be; any, if there are none.
    """
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a word", type(None): "null"}
    for option in _options(hint):
        if option is str and allowed:
            yield from allowed
        elif get_origin(option) is list and allowed:
            yield f"a list of {'them' if str in _options(hint) else alternatives(allowed)}"
        elif get_origin(option) is list:
            item = {int: "whole numbers", str: "words"}[get_args(option)[0]]
            yield f"a list of {item}, such as {'[64,64]' if item == 'whole numbers' else '[a,b]'}"
        elif get_origin(option) is tuple:
            yield f"a list of {len(get_args(option))} numbers, such as [0.9,0.999]"
        else:
            yield words.get(option, "a group of keys")


def _check_combinations(config: Mapping[str, Any]) -> None:
    data, trainer = config["data"], config["trainer"]
    if trainer["devices"] == 0:
        raise ConfigError("trainer.devices=0: must be at least 1, or -1 for all GPUs there are.")
    devices = trainer["devices"] if isinstance(trainer["devices"], int) and trainer["devices"] > 0 else 1
    batch = data.get("batch_size", devices * 2)
    check_sharing(batch, devices)
    layer, placement = config["norm"]["layer"], config["norm"]["placement"]
    if bool(layer) != (placement != "none"):
        meant = "norm=none" if layer else f"norm=batch_{placement}"
        raise ConfigError(
            f"norm.placement={placement}: {'norm.layer says what' if layer else 'nothing'} to place; use {meant}."
        )
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
