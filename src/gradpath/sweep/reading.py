"""A sweep, read once for all that shows it: its tables and its report."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gradpath.sweep.again import made_again, names_place, packages_of, to_continue
from gradpath.sweep.given import Given, Run, given
from gradpath.sweep.loading import run_of, table_rows
from gradpath.sweep.mixed import mixed, short_versions, versions
from gradpath.sweep.outcome import read_outcome
from gradpath.sweep.plan import Plan
from gradpath.sweep.report_data import Content, Draft
from gradpath.sweep.rows import Row
from gradpath.sweep.searched import front, goals, searched


@dataclass(frozen=True)
class Reading:
    """What the jobs of a sweep have left.

    runs: all jobs, in their order.
    rows: a row of the table for each.
    notes: sentences that stand with every table.
    """

    folder: Path
    plan: Plan
    runs: Sequence[Run]
    was: Given
    rows: Sequence[Row]
    notes: Sequence[str]
    draft: Draft

    @property
    def commands(self) -> Sequence[str]:
        """Those that make the sweep again. Several name the sweep, or each would make one of its own."""
        typed = [(command, packages_of(self.plan, place)) for place, command in enumerate(self.plan.commands)]
        return [
            made_again(command, packages)
            if len(typed) == 1 or names_place(command)
            else to_continue(command, self.folder, packages=packages)
            for command, packages in typed
        ]

    @property
    def content(self) -> Content:
        """What the report shows. See `static/data.js` for its shape."""
        head: dict[str, Any] = {"kind": "sweep", "name": self.folder.name, "commands": [*self.commands]}
        head |= {"common": [*self.draft.common], "notes": [*self.notes], "search": searched(self.plan)}
        aims = goals(self.plan)
        head["front"] = front(self.draft.aims, aims.values()) if len(aims) > 1 else []
        head["versions"] = short_versions(self.runs) if versions(self.runs) > 1 else None
        return head | self.draft.content(self.was.keys, self.was.values)


def read_sweep(folder: Path, plan: Plan) -> Reading:
    """Reads all jobs of a sweep, one after the other."""
    given_all = set.intersection(*({*job.overrides} for job in plan.jobs)) if plan.jobs else set()
    common = [text for text in (plan.jobs[0].overrides if plan.jobs else []) if text in given_all]
    draft = Draft(folder, len(plan.jobs), common)
    runs, objectives = [], goals(plan)
    for job in plan.jobs:
        outcome = read_outcome(folder, job.name)
        runs.append(run_of(folder, folder, job, outcome))
        draft.add(job, outcome, runs[-1].row, objectives)
    was = given(runs)
    notes = mixed(runs, was)
    left = sum(run.row["status"] == "missing" for run in runs)
    if left:
        now = datetime.now().astimezone()
        notes.insert(0, f"As of {now:%Y-%m-%d %H:%M:%S %z}: {left} of {len(runs)} jobs had not ended.")
    return Reading(folder, plan, runs, was, table_rows(runs, was), notes, draft)
