"""Tries what names do not tell before the first job starts: a mistake there is one line, not a failure of each job."""

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from multiprocessing import connection
from typing import Any

from gradpath.config.checks import is_ours
from gradpath.config.job import Sweep
from gradpath.config.target_names import PLACES
from gradpath.errors import ConfigError
from gradpath.sweep.course import done, lasting
from gradpath.sweep.forking import Child, Server
from gradpath.sweep.growth import planned
from gradpath.sweep.launchers import kind_of
from gradpath.sweep.outcome import read_outcome
from gradpath.sweep.place import check_folder, for_grid
from gradpath.sweep.plan import read_plan
from gradpath.sweep.tried import Asked, Config, asks, try_parts

# A place in the configuration, and what stands there.
Part = tuple[str, Mapping[str, Any]]


def check_own_code(sweep: Sweep) -> None:
    """Imports what option files that we do not ship name, in a process of its own: no job has an older version of it then.

    Data, losses, schedules and devices are tried there, too, where a single run would refuse them before it begins.

    Raises:
        ConfigError: a package cannot be imported, or has nothing of that name; or a part cannot be built.
    """
    jobs = [*_to_run(sweep)]
    if not jobs:
        return
    parts = {repr(part): part for config, _ in jobs for part in _own_parts(config)}
    here = kind_of(sweep.launcher) in ("local", "basic")
    with closing(Server(sweep.common_data)) as server:
        while not server.ready(1):
            pass
        child = server.start(_mistake, [*parts.values()], jobs, here)
        connection.wait([child.sentinel])
        said = child.word()
        if said is None:
            said = _cut_short([*parts.values()], child)
        child.close()
    if said:
        raise ConfigError(said)


def _to_run(sweep: Sweep) -> Iterator[Asked]:
    """What is to be tried of jobs that have not been run; of a search, of those that were checked before."""
    if sweep.search:
        for place in sweep.grid.places_beside(sweep.settings["limit"]):
            asked = sweep.composition(place)
            if _is_tried(asked[0]):
                yield asked
        return
    jobs = [job for job in sweep.jobs() if _is_tried(job.config)]
    folder = check_folder(sweep, for_grid(sweep.grid)) if jobs else None
    plan = read_plan(folder) if folder else None
    names = {(job.config, job.code): job.name for job in (*plan.former, *plan.jobs)} if plan else {}
    codes: dict[frozenset[str], str] = {}
    retry = sweep.settings["retry"]
    on = lasting(folder, plan, retry) if folder else set[int]()
    kept = {job.config for job in plan.jobs if job.number in on} if plan else set[str]()
    for job in jobs:
        new = planned(job, codes)
        name = names.get((new.config, new.code))
        if new.config not in kept and not (folder and name and done(read_outcome(folder, name), retry)):
            yield job.config, job.choices


def _is_tried(config: Config) -> bool:
    return asks(config) or any(_own_parts(config))


def _own_parts(config: Config) -> Iterator[Part]:
    """What is not as we ship it."""
    for key in PLACES:
        group, _, part = key.partition(".")
        node = config[group].get(part) if part else config[group]
        if isinstance(node, Mapping) and node.get("_target_") and not is_ours(group, config[group]):
            yield key, node


def _mistake(parts: Sequence[Part], jobs: Sequence[Asked], here: bool) -> str:
    """What is wrong with the first part that cannot be used or built; else empty. What its code prints is lost."""
    from gradpath.config.targets import activation, normalisation, resolve

    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    try:
        for key, node in parts:
            if key == "activation":
                activation(node)
            elif key == "norm.layer":
                normalisation(node)(4)
            else:
                resolve(key, node)
        try_parts(jobs, here)
    except ConfigError as error:
        return str(error)
    return ""


def _cut_short(parts: Sequence[Part], child: Child) -> str:
    """What is said of code that ends the process that imports it."""
    code = child.process.exitcode or 0
    known = {number.value: number.name for number in signal.Signals}
    how = f"with exit code {code}" if code >= 0 else f"by {known.get(-code, f'signal {-code}')}"
    named = ", ".join(f"{key}._target_={node['_target_']}" for key, node in parts) or "trainer"
    return f"{named}: its code ended the process that imported it, {how}."
