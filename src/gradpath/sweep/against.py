"""Every group against a base, seed by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from gradpath.errors import ConfigError, counted, nearest
from gradpath.sweep.comparison import Cell, Group, label, shown
from gradpath.sweep.given import SEED, Values
from gradpath.sweep.paired import ALPHA, bootstrap_interval, holm, pairs_needed, sign_flip_p, smallest_corrected
from gradpath.sweep.typed_values import meaning

Place = tuple[str | None, ...]


@dataclass(frozen=True)
class Arm:
    """A group and its base, which has other values in the keys that were asked for and the same in all others.

    differences: seed -> metric of the group minus metric of the base.
    unpaired: what has no partner, and why.
    p, corrected: of the test; None without a pair.
    smallest: the smallest corrected p that so many pairs, beside those of the other arms, can give; None without a pair.
    """

    group: Group
    base: Values
    differences: Mapping[str | None, float]
    unpaired: Sequence[str]
    interval: tuple[float, float] | None = None
    p: float | None = None
    corrected: float | None = None
    smallest: float | None = None

    @property
    def n(self) -> int:
        return len(self.differences)

    @property
    def mean(self) -> float | None:
        return fmean(self.differences.values()) if self.differences else None

    @property
    def is_shown(self) -> bool:
        """Whether the interval leaves 0 out, and the corrected p is at most 0.05."""
        if self.interval is None or self.corrected is None:
            return False
        return not self.interval[0] <= 0 <= self.interval[1] and self.corrected <= ALPHA

    @property
    def says(self) -> str:
        if not self.is_shown or self.mean is None:
            return "not shown"
        return "higher" if self.mean > 0 else "lower"


def read_base(text: str, found: Sequence[Group], by: Sequence[str]) -> Values:
    """What was typed as `activation=relu,init=he_normal`, as values of the groups.

    Raises:
        ConfigError: a key makes no groups, or no group has the value.
    """
    base: Values = {}
    for pair in split(text):
        key, sign, value = pair.partition("=")
        if not sign:
            raise ConfigError(f"--against {text}: must be key=value, such as {_example(found)}.")
        if key not in by:
            makes = f"the groups are made by {', '.join(by)}" if by else "there is one group only"
            raise ConfigError(f"--against {text}: {makes}, not by {key}.{nearest(key, by)}")
        there = {meaning(shown(known)): known for known in (group.values[key] for group in found)}
        place = meaning(value)
        if place not in there:
            names = [shown(known) for known in there.values()]
            raise ConfigError(
                f"--against {text}: {key} is {', '.join(names)}, never {value or 'empty'}.{nearest(value, names)}"
            )
        base[key] = there[place]
    if SEED in by:
        raise ConfigError(f"--against {text}: pairs are made by the seed; leave seed out of --by.")
    return base


def split(text: str) -> list[str]:
    """The parts between commas, without those in brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        depth += (character in "[{(") - (character in "]})")
        if character == "," and depth <= 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _example(found: Sequence[Group]) -> str:
    return label(found[0].values).replace(", ", ",")


def matched_keys(found: Sequence[Group], keys: Sequence[str], by: Sequence[str]) -> list[str]:
    """The keys in which runs of one group differ, apart from the seed: partners are equal in them.

    A key that only changes from group to group is not matched: it changes together with the keys of the groups.
    """
    inside = [key for key in keys if key not in by and key != SEED]
    return [key for key in inside if any(len({cell.given[key] for cell in group.cells}) > 1 for group in found)]


def compare(found: Sequence[Group], base: Values, matched: Sequence[str]) -> list[Arm]:
    """Each group that is no base itself against its base, with the tests corrected for their number.

    Raises:
        ConfigError: no group has a base.
    """
    by_place = {tuple(group.values.values()): group for group in found}
    arms = []
    for group in found:
        values = group.values | base
        if values != group.values:
            arms.append(_arm(group, values, by_place.get(tuple(values.values())), matched))
    if not arms:
        raise ConfigError(f"--against {label(base)}: there is no other group.")
    if not any(tuple(arm.base.values()) in by_place for arm in arms):
        example = next(group for group in found if group.values | base == group.values)
        hint = f"name it in full, such as {_example([example])}, or make the groups with --by {','.join(base)}"
        raise ConfigError(f"--against {label(base)}: no group has a partner that is equal in the other keys; {hint}.")
    return _tested(arms)


def _arm(group: Group, base: Values, partner: Group | None, matched: Sequence[str]) -> Arm:
    if partner is None:
        return Arm(group, base, {}, [f"there is no group {label(base)}"])
    ours, theirs = _by_seed(group, matched), _by_seed(partner, matched)
    differences: dict[str | None, list[float]] = {}
    unpaired = []
    for place in dict.fromkeys([*ours, *theirs]):
        sides = ours.get(place, []), theirs.get(place, [])
        numbers = [[cell.value for cell in side if cell.value is not None] for side in sides]
        if all(numbers):
            differences.setdefault(place[0], []).append(fmean(numbers[0]) - fmean(numbers[1]))
        else:
            why = [
                f"{label(side_of)} {_why(side)}"
                for side_of, side, there in zip((group.values, base), sides, numbers, strict=True)
                if not there
            ]
            unpaired.append(f"{label(dict(zip((SEED, *matched), place, strict=True)))}: {' and '.join(why)}")
    # Runs of one seed are no independent pairs: a seed is one.
    return Arm(group, base, {seed: fmean(values) for seed, values in differences.items()}, unpaired)


def _by_seed(group: Group, matched: Sequence[str]) -> dict[Place, list[Cell]]:
    found: dict[Place, list[Cell]] = {}
    for cell in group.cells:
        found.setdefault((cell.given[SEED], *(cell.given[key] for key in matched)), []).append(cell)
    return found


def _why(side: Sequence[Cell]) -> str:
    """Why a side has no number."""
    if not side:
        return "was not run"
    return ", ".join(f"({cell.name}) {_verb(cell.why)}" for cell in side)


def _verb(why: str) -> str:
    return f"is {why}" if why == "missing" else f"has {why}" if why.startswith("no ") else why


def _tested(arms: Sequence[Arm]) -> list[Arm]:
    """The arms with their intervals and tests. An arm without a pair is not tested, and no test is corrected for it."""
    numbers = [[*arm.differences.values()] for arm in arms]
    tests = [sign_flip_p(d) for d in numbers]
    corrected = iter(holm([p for p in tests if p is not None]))
    best = iter(smallest_corrected([len(d) for d in numbers if d]))
    return [
        arm if p is None
        else replace(arm, interval=bootstrap_interval(d), p=p, corrected=next(corrected), smallest=next(best))
        for arm, d, p in zip(arms, numbers, tests, strict=True)
    ]  # fmt: skip


def too_few(arms: Sequence[Arm]) -> list[str]:
    """Sentences about arms whose pairs are too few for any result to be shown."""
    tested = [arm for arm in arms if arm.n]
    pairs = [arm.n for arm in tested]
    # Arms of as many pairs have the same smallest p, and need as many.
    counts: dict[tuple[int, float], list[Arm]] = {}
    for arm in tested:
        if arm.smallest is not None and arm.smallest > ALPHA:
            counts.setdefault((arm.n, arm.smallest), []).append(arm)
    said = []
    for (n, smallest), few in sorted(counts.items()):
        which = "" if len(few) == len(arms) else f" ({'; '.join(arm.group.label for arm in few)})"
        needed = pairs_needed(pairs, pairs.index(n))
        more = f"{needed} seeds are needed" if needed else "no number of seeds is enough"
        said.append(
            f"n = {n} is too small to show anything{which}: "
            f"with {counted(len(tested), 'comparison')} the corrected p is at least {smallest:.3g}; {more}."
        )
    return said
