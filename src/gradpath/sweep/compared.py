"""A comparison as it was asked for: groups, differences, and what a reader has to know of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gradpath.errors import counted
from gradpath.files import relative
from gradpath.sweep.against import Arm, compare, matched_keys, read_base, split, too_few
from gradpath.sweep.comparison import Cell, Group, cells, chosen_keys, chosen_metric, groups, label, metrics, ordered
from gradpath.sweep.given import SEED, Given, Run, Values, given
from gradpath.sweep.mixed import mixed
from gradpath.sweep.paired import ALPHA, EXACT, FLIPS, LEVEL, RESAMPLES
from gradpath.sweep.summary import said

# So many trials of a search are shown.
BEST = 10
# So many groups are named that average over less than others, and so many values of each that it lacks.
NAMED = 3


@dataclass(frozen=True)
class Comparison:
    """Runs in groups.

    sources: the folders that were compared.
    over: the keys in which runs of one group differ.
    along: keys that make no groups but change from group to group.
    cells: all runs, in their order.
    base: what was typed after --against; empty if nothing was.
    arms: the groups against their bases.
    made: sentences on how the runs were made, where they were not made alike.
    trials: whether each group is a trial of a search, with a configuration of its own.
    beside: the other numbers that the search looked at.
    """

    sources: Sequence[Path]
    metric: str
    by: Sequence[str]
    over: Sequence[str]
    along: Sequence[str]
    cells: Sequence[Cell]
    groups: Sequence[Group]
    base: Values
    arms: Sequence[Arm]
    made: Sequence[str]
    trials: bool = False
    beside: Sequence[str] = ()

    @property
    def seconds(self) -> float:
        return sum(group.seconds for group in self.groups)

    @property
    def is_cut(self) -> bool:
        """Whether only the first groups are shown to people: of a search, the best trials."""
        return self.trials and len(self.groups) > BEST and not self.arms

    @property
    def shown(self) -> Sequence[Group]:
        return self.groups[:BEST] if self.is_cut else self.groups

    @property
    def head(self) -> str:
        """What was compared, in a sentence."""
        counts = Counter(cell.status for cell in self.cells)
        many = len(self.sources)
        where = relative(self.sources[0]) if many == 1 else f"{many} folders"
        over = f", averaged over {' and '.join(self.over)}" if self.over else ""
        runs = f"{counted(len(self.cells), 'run')}, {said(counts)}"
        return f"{where}: {runs}; {duration(self.seconds)} in all. {self.metric}{over}:"

    @property
    def method(self) -> str:
        """How the differences were tested, in a sentence."""
        most = max(arm.n for arm in self.arms)
        flips = (
            "all flips of signs" if most <= EXACT else f"flips of signs, {FLIPS:,} random ones for more than {EXACT} pairs"
        )
        tests = sum(arm.n > 0 for arm in self.arms)
        if not tests:
            return f"Against {label(self.base)}: no group has a pair, so nothing was tested."
        family = counted(tests, "comparison")
        return (
            f"Against {label(self.base)}: {self.metric} of the group minus that of its base, by seed; n counts seeds. "
            f"Interval: {LEVEL:.0%}, percentile bootstrap, {RESAMPLES:,} resamples. "
            f"p: {flips}; corrected by Holm for {family}. "
            f"Not shown: the interval covers 0, or the corrected p is above {ALPHA}."
        )

    @property
    def notes(self) -> list[str]:
        """What a reader has to know of the tables."""
        found = [*self.made]
        if self.is_cut:
            found.append(
                f"A search: each trial has a configuration of its own, so nothing is averaged. The best {BEST} of "
                f"{len(self.groups)} are shown; --format csv lists all, and --by makes groups."
            )
        if self.along:
            found.append(f"{' and '.join(self.along)} changes from group to group, too: what is compared is both.")
        out = [f"{cell.name} ({cell.why})" for cell in self.cells if cell.value is None]
        if out:
            found.append(f"Not averaged: {', '.join(out)}.")
        found += uneven(self.groups, self.over)
        if self.arms:
            found += too_few(self.arms)
            matched = [key for key in self.over if key != SEED]
            if matched:
                found.append(
                    f"Pairs are equal in seed and {' and '.join(matched)}; a seed counts once, with its mean difference."
                )
            found += [f"No pair: {arm.group.label}: {'; '.join(arm.unpaired)}." for arm in self.arms if arm.unpaired]
        return found


def compared(runs: Sequence[Run], metric: str | None, by: str | None, sort: str | None, against: str | None) -> Comparison:
    """The comparison that was asked for. Arguments are as typed.

    Raises:
        ConfigError: an argument is wrong.
    """
    was, chosen = _keys(runs, by)
    keys = was.keys
    name = chosen_metric(runs, metric)
    measured = cells(runs, was.values, name)
    found = ordered(groups(measured, chosen), chosen, name, sort)
    matched = matched_keys(found, keys, chosen)
    base: Values = {}
    arms: Sequence[Arm] = ()
    if against is not None:
        base = read_base(against, found, chosen)
        arms = compare(found, base, matched)
    seeded = SEED in keys and SEED not in chosen
    along = [key for key in keys if key not in (*chosen, *matched, SEED)] if chosen else []
    sources = [*dict.fromkeys(run.source for run in runs)]
    over = [*[SEED] * seeded, *matched]
    trials = by is None and all(run.goals for run in runs) and all(len(group.cells) == 1 for group in found)
    goals = dict.fromkeys(goal for run in runs for goal in run.goals) if metric is None else {}
    beside = [goal for goal in goals if goal != name and goal in metrics(runs)]
    return Comparison(sources, name, chosen, over, along, measured, found, base, arms, mixed(runs, was), trials, beside)


def check_names(runs: Sequence[Run], metric: str | None, by: str | None, sort: str | None, against: str | None) -> None:
    """Raises ConfigError if an argument is wrong. Of runs of which none has come to its end, only the keys are known."""
    _keys(runs, by)
    if any(run.row["status"] == "ok" for run in runs):
        compared(runs, metric, by, sort, against)


def uneven(found: Sequence[Group], over: Sequence[str]) -> list[str]:
    """A sentence if some groups average over values that others lack: they differ in more than what they are named after.

    Args:
        over: the keys over which they average. A seed is as good as another.
    """
    keys = [key for key in over if key != SEED]
    averaged = [[cell for cell in group.cells if cell.value is not None] for group in found]
    places = [dict.fromkeys(tuple(cell.given[key] for key in keys) for cell in cells) for cells in averaged]
    everywhere = dict.fromkeys(place for own in places for place in own)
    lacking = []
    for group, own in zip(found, places, strict=True):
        missed = [label(dict(zip(keys, place, strict=True))) for place in everywhere if place not in own]
        if own and missed:
            more = f" and {len(missed) - NAMED} more" * (len(missed) > NAMED)
            lacking.append(f"{group.label} lacks {'; '.join(missed[:NAMED])}{more}")
    if not lacking:
        return []
    more = f", and {counted(len(lacking) - NAMED, 'other group')} lack some" * (len(lacking) > NAMED)
    return [f"The means are not over the same {' and '.join(keys)}: {', '.join(lacking[:NAMED])}{more}."]


def _keys(runs: Sequence[Run], by: str | None) -> tuple[Given, list[str]]:
    """What the runs were given, and the keys that make the groups."""
    was = given(runs)
    there = [*dict.fromkeys([*was.keys, SEED, *was.values[0]])]
    return was, chosen_keys(None if by is None else split(by), was.keys, there)


def duration(seconds: float) -> str:
    """`31.2 s`, `4 min 10 s`, `3 h 20 min`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
