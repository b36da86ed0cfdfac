"""The flags of Hydra's command line, and what is said of those that are none."""

import re
from argparse import Namespace
from collections.abc import Iterable, Sequence
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from gradpath.config.arguments import refuse_one_dash
from gradpath.config.schema import GROUPS, Root
from gradpath.errors import ConfigError, nearest

KEYS = (*GROUPS, *Root.__annotations__, "experiment", "sweep", "hydra")


def read_flags(typed: Sequence[str]) -> Namespace:
    """What argparse makes of a command line, with what was typed as key=value in `overrides`.

    Raises:
        ConfigError: for a flag that there is not, or that has no meaning here.
    """
    parser = get_args_parser()
    known = [*parser._option_string_actions]
    _refuse_dashed_keys(typed)
    refuse_one_dash(typed, known)
    parser.error = lambda message: _wrong(message, known)  # type: ignore[method-assign]
    found = parser.parse_intermixed_args(typed)
    if found.config_name or found.config_path:
        _wrong("--config-name, --config-path: there is one configuration, conf/; add folders with --config-dir")
    if found.experimental_rerun:
        _wrong("--experimental-rerun: write resume=FOLDER")
    return found


def _refuse_dashed_keys(typed: Iterable[str]) -> None:
    """Raises ConfigError for a key that is typed as a flag."""
    for text in typed:
        key = re.match(r"--?([A-Za-z_]{2,})(?=[=./]|$)", text)
        if key and key[1] in KEYS:
            bare = text.lstrip("-")
            raise ConfigError(f"{text}: no dashes before a key; write {bare if '=' in bare else f'{bare}=VALUE'}.")


def _wrong(message: str, known: Iterable[str] = ()) -> NoReturn:
    """Replaces argparse's `error`, which would print the usage first.

    Args:
        known: the options that there are.
    """
    near = nearest(message.removeprefix("unrecognized arguments: ").split(maxsplit=1)[0], known)
    raise ConfigError(f"{message}{'.' + near if near else ';'} python train.py --help lists the options.")
