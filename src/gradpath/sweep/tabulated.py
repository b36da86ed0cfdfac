"""A comparison as a table in the terminal, as Markdown, CSV or JSON."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gradpath.columns import width, wrapped
from gradpath.ended import LOST
from gradpath.files import as_json, relative
from gradpath.sweep.against import Arm
from gradpath.sweep.compared import Comparison
from gradpath.sweep.comparison import SECONDS, STD, Group, N, shown
from gradpath.sweep.paired import LEVEL, RESAMPLES
from gradpath.sweep.summary import cell
from gradpath.sweep.typed_values import briefly
from gradpath.tables import GAP, show_table

# Columns that a narrow terminal does without, the least important first.
GROUPS_LEAST = (SECONDS, "verdict", *reversed(LOST), STD, N)
ARMS_LEAST = ("p", N, "interval", "corrected")
# A table: its header and its rows, as texts.
Table = tuple[list[str], list[list[str]]]


def group_table(found: Comparison) -> Table:
    """A row per group."""
    lost = _lost(found)
    verdicts = any(group.verdicts for group in found.groups)
    texts = _texts(found)
    header = [*found.by, found.metric, *found.beside, STD, N, *lost, *["verdict"] * verdicts, SECONDS]
    rows = []
    for group in found.shown:
        row = [*_named(group, texts), _digits(group.mean)]
        row += [_digits(group.mean_of(name)) for name in found.beside] + [_digits(group.std), str(group.n)]
        row += [str(group.count(status)) for status in lost]
        rows.append([*row, *[_verdicts(group)] * verdicts, _time(group.seconds)])
    return header, rows


def arm_table(found: Comparison) -> Table:
    """A row per group that has a base."""
    header = [*found.by, "difference", "interval", N, "p", "corrected", "result"]
    texts = _texts(found)
    return header, [[*_named(arm.group, texts), *_arm_cells(arm)] for arm in found.arms]


def _texts(found: Comparison) -> dict[str, dict[str | None, str]]:
    """The values of each key as people read them."""
    return {key: briefly(group.values[key] for group in found.groups) for key in found.by}


def _named(group: Group, texts: Mapping[str, Mapping[str | None, str]]) -> list[str]:
    return [texts[key].get(value, shown(value)) for key, value in group.values.items()]


def _arm_cells(arm: Arm) -> list[str]:
    interval = " to ".join(f"{end:+.3g}" for end in arm.interval) if arm.interval else "-"
    return [_digits(arm.mean, "+.3g"), interval, str(arm.n), _digits(arm.p), _digits(arm.corrected), arm.says]


def show_plain(found: Comparison) -> None:
    """Tables, and in lines what has to be known of them. In a terminal no line is wider than it."""
    print(*wrapped(found.head), sep="\n")
    _show(found, group_table(found), [found.metric, *found.beside, STD, N], GROUPS_LEAST)
    if found.arms:
        print("", *wrapped(found.method), sep="\n")
        _show(found, arm_table(found), ["difference", "corrected", "result"], ARMS_LEAST)
    lines = [part for note in found.notes for part in wrapped(note, further="  ")]
    print(*["", *lines] * bool(lines), sep="\n", end="\n" * bool(lines), flush=True)


def _show(found: Comparison, table: Table, needed: Iterable[str], least: Sequence[str]) -> None:
    """Shows a table. Where the keys leave too little room for what is needed, they share the first column."""
    header, rows = table
    keys = len(found.by)
    columns = width()
    places = [*range(keys), *(header.index(name, keys) for name in needed)]
    room = sum(max(len(row[k]) for row in (header, *rows)) + GAP for k in places) - GAP
    if keys == 0 or (columns is not None and room > columns):
        rows = [[_together(found.by, row[:keys]), *row[keys:]] for row in rows]
        header = ["group", *header[keys:]]
    show_table(header, rows, least)


def _together(by: Sequence[str], values: Sequence[str]) -> str:
    return " ".join(f"{key}={value}" for key, value in zip(by, values, strict=True)) or "all runs"


def markdown(found: Comparison) -> str:
    lines = [found.head, "", *_markdown(group_table(found))]
    if found.arms:
        lines += ["", found.method, "", *_markdown(arm_table(found))]
    if found.notes:
        lines += ["", *(f"- {cell(note)}" for note in found.notes)]
    return "\n".join(lines) + "\n"


def _markdown(table: Table) -> list[str]:
    header, rows = table
    return [f"| {' | '.join(map(cell, row))} |" for row in (header, ["---"] * len(header), *rows)]


def as_csv(found: Comparison) -> str:
    """One row per group, with its difference from its base if there is one; numbers with all their digits."""
    of = {id(arm.group): arm for arm in found.arms}
    rows = []
    for group in found.groups:
        row: dict[str, Any] = group.values | {found.metric: group.mean}
        row |= {name: group.mean_of(name) for name in found.beside} | {STD: group.std, N: group.n}
        row |= {status: group.count(status) for status in LOST}
        row |= {"verdict": _verdicts(group), SECONDS: group.seconds}
        if found.arms:
            row |= _csv_arm(of.get(id(group)))
        rows.append(row)
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _csv_arm(arm: Arm | None) -> dict[str, Any]:
    low, high = (arm.interval if arm else None) or (None, None)
    return {
        "difference": arm and arm.mean, "low": low, "high": high, "pairs": arm and arm.n, "p": arm and arm.p,
        "corrected": arm and arm.corrected, "result": arm and arm.says,
    }  # fmt: skip


def json_text(found: Comparison) -> str:
    content: dict[str, Any] = {
        "folders": [relative(folder) for folder in found.sources], "metric": found.metric, "by": [*found.by],
        "over": [*found.over], "runs": len(found.cells), "seconds": found.seconds,
        "groups": [_json_group(group, found.beside) for group in found.groups],
    }  # fmt: skip
    if found.arms:
        arms, tests = [_json_arm(arm) for arm in found.arms], sum(arm.n > 0 for arm in found.arms)
        content["against"] = {
            "base": found.base,
            "level": LEVEL,
            "resamples": RESAMPLES,
            "tests": tests,
            "comparisons": arms,
        }
    return as_json(content | {"notes": found.notes})


def _json_group(group: Group, beside: Iterable[str]) -> dict[str, Any]:
    numbers = {"mean": group.mean, STD: group.std, N: group.n, **{status: group.count(status) for status in LOST}}
    others = {name: group.mean_of(name) for name in beside}
    return {"values": group.values, **numbers, **others, "verdicts": dict(group.verdicts), SECONDS: group.seconds}


def _json_arm(arm: Arm) -> dict[str, Any]:
    return {
        "group": arm.group.values, "base": arm.base, "difference": arm.mean, "interval": arm.interval, N: arm.n,
        "p": arm.p, "corrected": arm.corrected, "result": arm.says, "smallest_corrected": arm.smallest,
        "by_seed": {shown(seed): value for seed, value in arm.differences.items()}, "unpaired": [*arm.unpaired],
    }  # fmt: skip


FORMATS: Mapping[str, Callable[[Comparison], str]] = {"markdown": markdown, "csv": as_csv, "json": json_text}


def _lost(found: Comparison) -> list[str]:
    """The columns of runs that count in no mean, if there are any."""
    return [status for status in LOST if any(group.count(status) for group in found.groups)]


def _verdicts(group: Group) -> str:
    """`healthy 3, vanishing 2`."""
    return ", ".join(f"{name} {count}" for name, count in group.verdicts.most_common())


def _digits(value: float | None, digits: str = ".4g") -> str:
    return "-" if value is None else f"{value:{digits}}"


def _time(seconds: float) -> str:
    return f"{seconds:.3g}" if seconds < 100 else f"{seconds:,.0f}"
