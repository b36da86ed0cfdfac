"""What is typed, by Hydra's grammar of overrides."""

import re
from collections.abc import Iterable
from itertools import islice

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import HydraException

from gradpath.errors import ConfigError, nearest

# Values of one key in a sweep.
MOST = 10_000
# So many digits are no number.
DIGITS = 1_000
# What Hydra's grammar calls by a name.
FUNCTIONS = ("range", "interval", "choice", "glob", "tag", "sort", "shuffle", "int", "float", "str", "bool", "extend_list")


def parse(overrides: Iterable[str], loader: ConfigLoader | None = None) -> list[Override]:
    """Parses overrides by Hydra's grammar.

    Args:
        loader: knows the options that `glob()` chooses from.

    Raises:
        ConfigError: a text does not fit the grammar.
    """
    overrides = list(overrides)
    for text in overrides:
        if "=" not in text and not text.startswith("~"):
            raise ConfigError(f"{text}: write it as key=value.")
    parser = OverridesParser.create()
    parsed = []
    for text in overrides:
        if re.search(rf"\d{{{DIGITS}}}", text):
            # Hydra's parser would take minutes.
            raise ConfigError(f"{text}: a number of more than {DIGITS - 1} digits.")
        try:
            parsed.append(parser.parse_override(text))
            parsed[-1].config_loader = loader
        # A number of more than 4,300 digits is a ValueError, for instance.
        except (HydraException, ValueError, RecursionError):
            raise ConfigError(f"{text}: {_why_not(text)}") from None
        if parsed[-1].package is not None:
            raise ConfigError(f"{text}: a group has one place; write it without @{parsed[-1].package}.")
    return parsed


def _why_not(text: str) -> str:
    """What is wrong with a text that does not fit the grammar."""
    value = text.partition("=")[2]
    if not set("'\"") & set(value):
        for opened, closed in ("()", "[]", "{}"):
            if (more := value.count(opened) - value.count(closed)) != 0:
                said = f"a {opened} is not closed by {closed}" if more > 0 else f"a {closed} closes nothing"
                return f"not understood; {said}{f'; write {text}{closed}' if more == 1 else ''}."
    called = [name for name in re.findall(r"(\w+)\(", value) if name not in FUNCTIONS]
    if called:
        near = nearest(called[0], FUNCTIONS)
        return f"there is no function {called[0]}.{near or ' There are ' + ', '.join(FUNCTIONS) + '.'}"
    return "not understood; write key=value, a list as key=[1,2], and put other characters in quotes, as in \"key='a b'\"."


def values(override: Override) -> list[str]:
    """The value as typed, in a list; for a sweep, all its values; for an interval, its ends."""
    if override.is_discrete_sweep():
        return list(override.sweep_string_iterator())
    content = override.value()
    if isinstance(content, IntervalSweep):
        return [str(content.start), str(content.end)]
    return [override.get_value_element_as_str()]


def line(override: Override) -> str:
    """The override as it was typed."""
    return override.input_line or f"{override.get_key_element()}={override.get_value_element_as_str()}"


def check_sweep(override: Override) -> None:
    """Raises ConfigError if the values of a sweep are none, or too many to be tried. Other overrides pass."""
    if not override.is_discrete_sweep():
        return
    try:
        count = sum(1 for _ in islice(override.sweep_string_iterator(), MOST + 1))
    except (ValueError, ArithmeticError):
        raise ConfigError(f"{override.input_line}: range takes finite numbers, and a step other than 0.") from None
    if count == 0:
        raise ConfigError(f"{override.input_line}: there is no such value.")
    if count > MOST:
        raise ConfigError(f"{override.input_line}: more than {MOST} values; each is a run.")
