"""What a sweep consists of: `sweep.yaml`, written before the first job starts."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from gradpath.config.saved_yaml import read_yaml
from gradpath.errors import ConfigError
from gradpath.files import SWEEP, relative, write_text

# A job takes half a kilobyte.
LARGEST = 100 << 20
# libyaml's, ten times as fast, where PyYAML was built with it.
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass(frozen=True)
class Planned:
    """A job of a sweep.

    number: its place in the order of all jobs that the sweep ever had.
    name: of its folder in the sweep's.
    overrides: what it would be given on a command line of its own.
    varied: key -> value, as typed, of what differs between the jobs.
    config: a digest of its resolved configuration.
    code: a digest of the code that trains, with the user's own packages that the configuration names.
    command: which of the sweep's commands asked for it.
    packages: the user's own that the configuration names.
    """

    number: int
    name: str
    overrides: list[str]
    varied: dict[str, str]
    config: str
    code: str
    command: int = 0
    packages: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """A sweep.

    commands: as typed, those that make the sweep again.
    threads: of each job, so that a resumed sweep computes with as many.
    jobs: in the order of their numbers.
    search: what was typed, if the jobs are proposed one by one; None for a grid.
    former: jobs whose place was taken, because the code or an option's file had changed, and trials of a search that were
        proposed again. Their folders stay.
    """

    commands: tuple[str, ...]
    threads: int
    jobs: tuple[Planned, ...]
    search: tuple[str, ...] | None = None
    former: tuple[Planned, ...] = ()


def digest(config: Mapping[str, Any]) -> str:
    """Equal for equal configurations. A job's own folder and what may change when it goes on are no part of it."""
    kept = {key: value for key, value in config.items() if key != "resume"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()


def write_plan(folder: Path, plan: Plan) -> None:
    content: dict[str, Any] = {"commands": [*plan.commands], "threads": plan.threads}
    if plan.search is not None:
        content["search"] = [*plan.search]
    content["jobs"] = [asdict(job) for job in plan.jobs]
    if plan.former:
        # Who asked for them is no longer known.
        content["former"] = [
            {name: value for name, value in asdict(job).items() if name != "command"} for job in plan.former
        ]
    write_text(folder / SWEEP, yaml.dump(content, Dumper=DUMPER, sort_keys=False))


def read_plan(folder: Path) -> Plan | None:
    """The plan of a sweep; None if there is none.

    Raises:
        ConfigError: the file is damaged.
    """
    path = folder / SWEEP
    if not path.exists():
        return None
    try:
        return _understood(read_yaml(path, LARGEST))
    except ConfigError as error:
        raise ConfigError(f"{relative(path)}: {error}") from None


def _understood(content: Any) -> Plan:
    """Raises ConfigError for what `write_plan` never writes."""
    known = content if isinstance(content, Mapping) else {}
    # Sweeps of version 0.1 have one command.
    commands = known.get("commands", [known["command"]] if "command" in known else None)
    search, threads = known.get("search"), known.get("threads")
    _check(_are(commands, str) and commands, "commands")
    _check(search is None or _are(search, str), "search")
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise ConfigError("damaged (threads).")
    jobs, former = (_jobs(known.get(key, missing), key, len(commands)) for key, missing in (("jobs", None), ("former", [])))
    for names in ([job.number for job in (*jobs, *former)], [job.name for job in (*jobs, *former)]):
        _check(len({*names}) == len(names), "two jobs of one number or name")
    return Plan((*commands,), threads, jobs, None if search is None else (*search,), former)


def _jobs(content: Any, key: str, commands: int) -> tuple[Planned, ...]:
    _check(_are(content, Mapping), key)
    names = {one.name for one in fields(Planned)}
    found = []
    for job in content:
        what = f"{key}: job {job.get('number')}"
        _check(names - {"command", "packages"} <= {*job} <= names, what)
        one = Planned(**job)
        _check(type(one.number) is int and one.number >= 0 and type(one.command) is int, what)
        _check(0 <= one.command < commands, what)
        # A sweep's folder is data: no name in it leads out of it.
        _check(isinstance(one.name, str) and re.fullmatch(r"\d+[\w.-]*", one.name), what)
        _check(_are(one.overrides, str) and _are(one.packages, str) and isinstance(one.varied, dict), what)
        _check(_are([*one.varied, *one.varied.values(), one.config, one.code], str), what)
        found.append(one)
    return (*found,)


def _are(content: Any, kind: type) -> bool:
    return isinstance(content, Sequence) and not isinstance(content, str) and all(isinstance(item, kind) for item in content)


def _check(holds: Any, what: str) -> None:
    if not holds:
        raise ConfigError(f"damaged ({what}).")
