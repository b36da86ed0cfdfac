"""What Hydra's own part of a configuration may name: its parts and plugins, and a log that harms no other file."""

import re
from collections.abc import Mapping
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf, grammar_parser
from omegaconf.errors import OmegaConfBaseException

from gradpath.config.target_names import OWN, own_packages
from gradpath.errors import ConfigError, alternatives

# What the `_target_` of a launcher, a sweeper or a callback may begin with.
PARTS = ("hydra._internal.", "hydra.experimental.callbacks.", "hydra_plugins.")
# The classes of a log, and what makes its parts (`()`). A prefix would not do: logging.io.FileIO empties a file, logging.os
# starts programs. Those that send a record over the network, and QueueHandler, to which Python 3.12 gives a `queue` and a
# `listener` of any name, are not among them.
HANDLERS = tuple(
    f"logging.{name}"
    for name in (
        "StreamHandler",
        "FileHandler",
        "NullHandler",
        "handlers.RotatingFileHandler",
        "handlers.TimedRotatingFileHandler",
        "handlers.WatchedFileHandler",
    )
)
CLASSES = (*HANDLERS, "logging.Formatter", "colorlog.ColoredFormatter")
MAKERS = (*CLASSES, "logging.Filter")
# Values that Python looks up: any other ext:// imports a module, cfg:// hides another part of the configuration.
STREAMS = ("ext://sys.stdout", "ext://sys.stderr")
# The log that Hydra empties itself; any other file is only added to.
EMPTIED = "hydra-${hydra.job.name}.log"
OUTPUT = "${hydra.runtime.output_dir}/"
# Keys of a handler that set any of its attributes, or that only handlers take that are not among the classes.
UNUSED = (".", "queue", "listener", "target")
LOGS = ("job_logging", "hydra_logging")
# Resolvers that give a text, not a part of a configuration.
TEXTS = ("oc.env:", "now:", "hydra:", "project:", "logs:", "run_name:")


def check_hydra(node: DictConfig) -> None:
    """Raises ConfigError if Hydra's part names code that is not Hydra's, a plugin's, or of a package that the user trusts.

    Args:
        node: the whole configuration, of which Hydra's part is looked at unresolved.
    """
    for key, value in _plain(node.hydra).items():
        if key in ("launcher", "sweeper") and not isinstance(value, Mapping):
            said = f"hydra/{key}=null" if value == MISSING else f"hydra.{key}={value}"
            raise ConfigError(f"{said}: must be an option, such as hydra/{key}=basic.")
        _check_targets(value, f"hydra.{key}", node)
        if key in LOGS:
            check_log(value, f"hydra.{key}")


def _plain(part: DictConfig) -> dict[str, Any]:
    found = OmegaConf.to_container(part)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def _check_targets(part: Any, place: str, node: DictConfig) -> None:
    for key, value in _items(part):
        if key == "_target_" and value is not None:
            _check_name(value, f"{place}._target_", PARTS, PARTS)
        _check_targets(value, f"{place}.{key}" if isinstance(part, Mapping) else place, node)
    if isinstance(part, str) and part.startswith("${") and _may_be_a_part(part, node):
        raise ConfigError(f"{place}={part}: must be written out, since a whole part of Hydra's could stand there.")


def _may_be_a_part(text: str, node: DictConfig) -> bool:
    """Whether an interpolation may give a mapping or a list that nobody has looked at."""
    if text.startswith(tuple("${" + name for name in TEXTS)):
        return False
    try:
        if grammar_parser.parse(text).text().getChildCount() > 1:
            # With more beside it, the result is a text.
            return False
    except OmegaConfBaseException:
        return False  # no grammar, so it is never resolved
    found = re.fullmatch(r"\$\{([\w.]+)\}", text)
    if not found or found[1].startswith("."):
        return True
    if found[1].startswith("hydra."):
        return False
    try:
        return OmegaConf.is_config(OmegaConf.select(node, found[1]))
    except OmegaConfBaseException:
        return True


def check_log(part: Any, place: str) -> None:
    """Raises ConfigError if a log's configuration, unresolved, names anything that runs, or empties or fills other files.

    The keys and values are those of Python's `logging.config.dictConfig`.
    """
    made = isinstance(part, Mapping) and ("class" in part or "()" in part)
    own = made and _is_own(part.get("()", part.get("class")))
    for key, value in _items(part):
        where = f"{place}.{key}" if isinstance(part, Mapping) else place
        if key == "class" and value is not None:
            _check_name(value, where, CLASSES)
        elif key == "()":
            _check_name(value, where, MAKERS)
        elif made and not own and key in UNUSED:
            raise ConfigError(f"{where}: a log of gradpath's takes no {key!r}.")
        elif isinstance(value, str):
            _check_text(value, where, is_file=key == "filename")
            if key == "filename" and not own and not value.endswith(".log"):
                # With another end it could be what a shell or Python reads.
                raise ConfigError(f"{where}={value}: must end in .log.")
            if key == "mode" and not own and value != "a" and not (value == "w" and part.get("filename") == EMPTIED):
                raise ConfigError(f"{where}={value}: must be a, which adds to a log.")
        check_log(value, where)


def _check_text(value: str, where: str, is_file: bool) -> None:
    """Refuses a text that Python looks up, or that may become one when it is resolved."""
    if value in STREAMS or _is_own(value.removeprefix("ext://")) or (is_file and value.startswith(OUTPUT)):
        return
    if re.match(r"[a-z]*(://|:?/?/?\$\{)", value):
        raise ConfigError(f"{where}={value}: must be written out, or be {alternatives(STREAMS)}.")


def _items(part: Any) -> list[tuple[Any, Any]]:
    return [*part.items()] if isinstance(part, Mapping) else [*enumerate(part)] if isinstance(part, list) else []


def _is_own(name: Any) -> bool:
    return str(name).startswith(tuple(f"{package}." for package in own_packages()))


def _check_name(name: Any, where: str, known: tuple[str, ...], beginnings: tuple[str, ...] = ()) -> None:
    if str(name) in known or str(name).startswith(beginnings) or _is_own(name):
        return
    package = str(name).split(".")[0]
    hint = (
        ""
        if package in ("logging", "colorlog", "hydra")
        else f" If you trust the package {package}: export {OWN}={package}."
    )
    allowed = alternatives(part.rstrip(".") for part in known)
    raise ConfigError(f"{where}={name}: must be {'from ' if beginnings else ''}{allowed}.{hint}")
