"""What becomes of a sweep's plan with another command: which jobs it has already, and what the new ones are called."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gradpath.config.job import Job
from gradpath.config.run_names import job_name
from gradpath.files import FAILURES
from gradpath.sweep.code import has_changed, made_by_with, named_packages
from gradpath.sweep.plan import Plan, Planned, digest
from gradpath.sweep.typed_values import meaning, same_when_equal, typed_values


def planned(job: Job, codes: dict[frozenset[str], str], varied: Iterable[str] = ()) -> Planned:
    """The entry of a job in a plan.

    Args:
        codes: digests of code that are known, by the packages that they are of; may be added to.
        varied: `key=value` of what differs between the jobs, if that is known.
    """
    assert job.number is not None
    packages = frozenset(named_packages(job.config))
    if packages not in codes:
        codes[packages] = made_by_with(packages)
    return Planned(
        job.number, job.folder.name, job.overrides, typed_values(varied), digest(job.config), codes[packages],
        packages=sorted(packages),
    )  # fmt: skip


def older(jobs: Iterable[Planned]) -> int:
    """How many jobs were planned for other code than there is now."""
    counts = Counter((job.code, tuple(job.packages)) for job in jobs)
    return sum(count for (code, packages), count in counts.items() if has_changed(code, packages))


def last_number(folder: Path) -> int:
    """The largest number of a job that has left a folder or a failure in the sweep's folder; -1 if none has."""
    left = [*(path for path in folder.glob("[0-9]*") if path.is_dir()), *folder.glob(f"{FAILURES}/[0-9]*.json")]
    found = [re.match(r"\d+(?=-|$)", path.stem) for path in left]
    return max((int(match[0]) for match in found if match), default=-1)


def extended(
    old: Plan | None, typed: Sequence[Planned], command: str, threads: int, last: int, lasting: Collection[int] = ()
) -> tuple[Plan, dict[int, int]]:
    """The plan of a sweep that goes on with a command, and the number there of each job of the command.

    A job is the same if its configuration and its code are. One whose code or configuration changed gets a number of its
    own, and takes the place of the job of the same values or configuration; that one is kept as a former job, and comes
    back when configuration and code do.

    Args:
        threads: of each job, if the sweep is new.
        last: as `last_number` returns it: a job that is in no plan may have left a folder, so its number is not given again.
        lasting: numbers of jobs that are the same whatever their code is.
    """
    had = old or Plan((), threads, ())
    known = {(job.config, job.code): job for job in (*had.former, *had.jobs)}
    kept_on = {job.config: job for job in had.jobs if job.number in lasting}
    following = max([last, *(job.number for job in (*had.former, *had.jobs))]) + 1
    asked: dict[int, Planned] = {}
    numbers: dict[int, int] = {}
    for job in typed:
        # Jobs of the same configuration are one job.
        new = replace(job, number=following, name="")
        same = kept_on.get(job.config) or known.setdefault((job.config, job.code), new)
        following += same.number == following
        asked[same.number] = same
        numbers[job.number] = same.number
    values, configs = {same_when_equal(job.overrides) for job in typed}, {job.config for job in typed}
    kept = {
        job.number: job for job in had.jobs if same_when_equal(job.overrides) not in values and job.config not in configs
    }
    before = {job.number for job in had.jobs}
    commands = had.commands
    if not before >= {*asked}:
        # A command that only repeats what was asked for is not needed to make the sweep again.
        commands = tuple(dict.fromkeys([*commands, command]))
        asked = {number: replace(job, command=commands.index(command)) for number, job in asked.items()}
    jobs = with_varied(sorted((kept | asked).values(), key=lambda job: job.number))
    digits = max(len(str(jobs[-1].number)), *(len(re.match(r"\d*", job.name)[0]) for job in jobs))  # type: ignore[index]
    jobs = [job if job.name else replace(job, name=_name(job, digits)) for job in jobs]
    former = [replace(job, command=0) for job in (*had.former, *had.jobs) if job.number not in kept | asked]
    plan = Plan(commands, had.threads, (*jobs,), had.search, (*former,))
    return _without_unused(plan), numbers


def with_varied(jobs: Sequence[Planned]) -> list[Planned]:
    """The jobs, with those of their values that differ between them, whichever command asked for them."""
    given = [typed_values(job.overrides) for job in jobs]
    keys = [
        key
        for key in dict.fromkeys(key for values in given for key in values)
        if len({meaning(values[key]) if key in values else None for values in given}) > 1
    ]
    return [
        replace(job, varied={key: values[key] for key in keys if key in values})
        for job, values in zip(jobs, given, strict=True)
    ]


def _name(job: Planned, digits: int) -> str:
    return job_name(job.number, digits, (f"{key}={value}" for key, value in job.varied.items()))


def _without_unused(plan: Plan) -> Plan:
    """The plan with those commands only that some job needs."""
    needed = sorted({job.command for job in plan.jobs})
    places: Mapping[int, int] = {old: new for new, old in enumerate(needed)}
    jobs = tuple(replace(job, command=places[job.command]) for job in plan.jobs)
    return replace(plan, commands=tuple(plan.commands[old] for old in needed), jobs=jobs)
