"""One grammar for every command that does not use Hydra's: words, `key=value` and `--flags`.

Each mistake is answered in one line. Nothing heavy is imported, so the answer comes at once.
"""

import re
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import inf, isfinite
from typing import Any, NoReturn

from gradpath.columns import fitted, wrapped
from gradpath.errors import ConfigError, alternatives, nearest
from gradpath.files import check_current
from gradpath.streams import open_streams


@dataclass(frozen=True)
class Value:
    """A word, or the value of a key or a flag.

    read: turns the typed text into the value, or raises ConfigError with `must be ...`. A flag whose `read` is bool takes no
        value.
    shown: the name of the value in --help.
    default: the value if nothing is typed.
    """

    read: Callable[[str], Any] = str
    shown: str = "VALUE"
    default: Any = None
    help: str = ""


@dataclass(frozen=True)
class Keys:
    """The keys that may be typed as key=value.

    own: the command's own keys.
    overrides: whether the command also takes whatever train.py takes.
    """

    own: Mapping[str, Value] = field(default_factory=dict)
    overrides: bool = False


@dataclass(frozen=True)
class Command:
    """Everything that may be typed after a command.

    doc: the script's docstring, which -h and --help print.
    words: name -> value, in the order in which they are typed; each may be left out.
    keys: first word -> the keys that it allows; the entry "" applies if there is no first word.
    flags: `--name` -> its value.
    many: what may be typed any number of times, in place of words and keys; a text with = in it is one, too.
    """

    doc: str | None
    words: Mapping[str, Value] = field(default_factory=dict)
    keys: Mapping[str, Keys] = field(default_factory=dict)
    flags: Mapping[str, Value] = field(default_factory=dict)
    many: Value | None = None

    def read(self, typed: Sequence[str] | None = None) -> Namespace:
        """Parses what was typed.

        The result has the words, the flags and the keys of the first word by name, and `overrides`. Its `typed` holds words
        and key=value exactly as they were typed, and its `many` what `many` has read.

        Args:
            typed: the arguments; None reads the command line.

        Raises:
            ConfigError: says what was typed, what is allowed and what may have been meant.
        """
        parser = self._parser()
        refuse_one_dash(sys.argv[1:] if typed is None else typed, ["--help", *self.flags])
        chosen, unknown = parser.parse_known_intermixed_args(typed)
        several, ordinary = (chosen.typed, []) if self.many else ([], chosen.typed)
        words, pairs = ([text for text in ordinary if ("=" in text) == pair] for pair in (False, True))
        for text in (*unknown, *words[len(self.words) :]):
            raise ConfigError(f"{text}: not understood.{self._instead(text)} Allowed: {self._allowed()}.")
        for name, flag in self.flags.items():
            text = getattr(chosen, name[2:])
            if isinstance(text, str):
                setattr(chosen, name[2:], _read(f"{name} {text}", flag, text))
        for k, (name, word) in enumerate(self.words.items()):
            setattr(chosen, name, _read(words[k], word, words[k]) if k < len(words) else word.default)
        chosen.many = [_read(text, self.many, text) for text in several] if self.many else []
        first = next((str(getattr(chosen, name) or "") for name in self.words), "")
        self._read_keys(chosen, pairs, first, first or parser.prog)
        return chosen

    def _parser(self) -> "_Parser":
        """A parser that reads the flags and collects everything else in `typed`."""
        parser = _Parser(
            usage=f"%(prog)s {self._allowed()}",
            description=self.doc,
            formatter_class=_Help,
            allow_abbrev=False,
        )
        for name, flag in self.flags.items():
            if flag.read is bool:
                parser.add_argument(name, action="store_true", help=flag.help)
            else:
                parser.add_argument(name, metavar=flag.shown, default=flag.default, help=flag.help)
        parser.add_argument("typed", nargs="*", help=SUPPRESS)
        return parser

    def _read_keys(self, chosen: Namespace, pairs: Sequence[str], first: str, called: str) -> None:
        keys, chosen.overrides = self.keys.get(first, Keys()), []
        for name, value in keys.own.items():
            setattr(chosen, name, value.default)
        for pair in pairs:
            name, _, text = pair.partition("=")
            if name in keys.own:
                setattr(chosen, name, _read(pair, keys.own[name], text))
            elif keys.overrides and not nearest(name, keys.own):
                chosen.overrides.append(pair)
            else:
                raise ConfigError(f"{pair}: {called} has no such key.{self._meant(name, keys)}")

    def _meant(self, name: str, keys: Keys) -> str:
        """A hint about a key that the first word does not allow: what the user may have meant."""
        words = [word for word, others in self.keys.items() if name in others.own]
        belongs = f" It belongs to {alternatives(words)}." if words else ""
        meant = nearest(name, [*keys.own, *self.flags]) or belongs
        more = " and what train.py takes" * keys.overrides
        takes = f" It takes {', '.join(keys.own)}{more}." if keys.own else ""
        return meant + takes or " It takes none."

    def _instead(self, text: str) -> str:
        """A hint at a word or flag that is not understood: the nearest flag, or the key that it would be without dashes."""
        bare = text.lstrip("-")
        name, sign, _ = bare.partition("=")
        if text != bare and any(name in keys.own for keys in self.keys.values()):
            return f" Write {bare if sign else f'{bare}=VALUE'}."
        return nearest(text, self.flags)

    def _allowed(self) -> str:
        alone = self.keys.get("", Keys()).own
        parts = ["[-h]", *(f"[{word.shown}]" for word in self.words.values())]
        parts += [f"[{self.many.shown} ...]"] if self.many else []
        parts += [f"[{name}={key.shown}]" for name, key in alone.items()]
        parts += ["[key=value ...]"] * any(self.keys)
        parts += [f"[{name}]" if flag.read is bool else f"[{name} {flag.shown}]" for name, flag in self.flags.items()]
        return " ".join(parts)


class _Help(RawDescriptionHelpFormatter):
    """Help as wide as the terminal."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return fitted(text, joined=True)

    def _format_usage(self, usage: str | None, *_: Any) -> str:
        return "\n".join(wrapped((usage or "") % {"prog": self._prog}, "usage: ", "       ")) + "\n\n"


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message.removeprefix('argument ')}; --help shows what is allowed.")


def refuse_one_dash(typed: Iterable[str], known: Collection[str]) -> None:
    """Raises ConfigError for a flag with one dash instead of two, of which argparse would read the first letter alone."""
    for text in typed:
        name = text.partition("=")[0]
        if re.fullmatch(r"-[a-z][a-z-]+", name) and name not in known:
            near = get_close_matches(f"-{name}", known, n=1, cutoff=0.8)
            if near:
                raise ConfigError(f"{text}: not understood. Did you mean {near[0]}?")


def _read(typed: str, value: Value, text: str) -> Any:
    try:
        return value.read(text)
    except ConfigError as error:
        raise ConfigError(f"{typed}: {error}") from None


def one_of(words: Sequence[str]) -> Callable[[str], str]:
    """A reader of one of `words`."""

    def read(text: str) -> str:
        if text not in words:
            raise ConfigError(f"must be {alternatives(words)}.{nearest(text, words)}")
        return text

    return read


def whole(low: int, high: float = inf) -> Callable[[str], int]:
    """A reader of a whole number from `low` to `high`, both included."""
    allowed = f"a whole number, at least {low}" if high == inf else f"a whole number from {low} to {high:g}"

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ConfigError(f"must be {allowed}.")
        return int(text)

    return read


def wholes(low: int, high: int) -> Callable[[str], list[int]]:
    """A reader of whole numbers from `low` to `high`, such as `8,12`. It sorts them and drops repetitions."""

    def read(text: str) -> list[int]:
        try:
            return sorted({whole(low, high)(part.strip()) for part in text.split(",")})
        except ConfigError:
            raise ConfigError(f"must be whole numbers from {low} to {high}, such as {low},{high}.") from None

    return read


def numbers(*counts: int) -> Callable[[str], list[float]]:
    """A reader of finite numbers, such as `[0.1,1e-2]`: as many as one of `counts`, or any number if there are none."""
    many = f"a list of {alternatives(map(str, counts))} numbers" if counts else "a list of numbers, such as [0.1,0.01]"

    def read(text: str) -> list[float]:
        listed = text[1:-1] if text.startswith("[") and text.endswith("]") else text
        try:
            found = [float(part) for part in listed.split(",")]
        except ValueError:
            found = []
        if not found or not all(map(isfinite, found)) or (counts and len(found) not in counts):
            raise ConfigError(f"must be {'a number' if counts == (1,) else many}.")
        return found

    return read


@contextmanager
def one_line_ends(hint: str) -> Iterator[None]:
    """Turns errors that a user can cause into one line on stderr and an exit code.

    After Ctrl-C the line ends with `hint`, and the exit code is 130.
    """
    open_streams()
    try:
        check_current()
        yield
        # Output that is still buffered would otherwise fail after the last handler.
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        # This module knows Hydra's errors, and so imports Hydra.
        from gradpath.config.one_line import fail, one_line_errors

        if isinstance(error, KeyboardInterrupt):
            fail(f"stopped; {hint}", code=130)
        with one_line_errors():
            if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
                where = "; choose another place" if error.filename else ""
                raise ConfigError(f"{error.filename or 'output'}: {error.strerror or error}{where}.") from None
            raise
