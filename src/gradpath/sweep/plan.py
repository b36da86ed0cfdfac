"""What a sweep consists of: `sweep.yaml`, written before the first job starts."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from gradpath.config.saved_yaml import read_yaml
from gradpath.errors import ConfigError
from gradpath.files import FAILURES, SWEEP, relative, write_text
from gradpath.sweep.code import made_by_with, named_packages

if TYPE_CHECKING:
    # This imports Hydra, which a plan that is only read does without.
    from gradpath.config.job import Job

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
    """

    number: int
    name: str
    overrides: list[str]
    varied: dict[str, str]
    config: str
    code: str


@dataclass(frozen=True)
class Plan:
    """A sweep.

    command: as typed.
    threads: of each job, so that a resumed sweep computes with as many.
    jobs: in the order of their numbers.
    search: what was typed, if the jobs are proposed one by one; None for a grid.
    """

    command: str
    threads: int
    jobs: tuple[Planned, ...]
    search: tuple[str, ...] | None = None


def digest(config: Mapping[str, Any]) -> str:
    """Equal for equal configurations. A job's own folder and what may change when it goes on are no part of it."""
    kept = {key: value for key, value in config.items() if key != "resume"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()


def planned(job: "Job", varied: Iterable[str], codes: dict[frozenset[str], str]) -> Planned:
    """A new job's entry in the plan.

    Args:
        codes: digests of code that are known, by the packages that they are of; may be added to.
    """
    assert job.number is not None
    packages = frozenset(named_packages(job.config))
    if packages not in codes:
        codes[packages] = made_by_with(packages)
    pairs = (text.partition("=") for text in varied)
    return Planned(
        job.number, job.folder.name, job.overrides, {key.lstrip("+"): value for key, _, value in pairs}, digest(job.config),
        codes[packages],
    )  # fmt: skip


def last_number(folder: Path) -> int:
    """The largest number of a job that has left a folder or a failure in the sweep's folder; -1 if none has."""
    left = [*(path for path in folder.glob("[0-9]*") if path.is_dir()), *folder.glob(f"{FAILURES}/[0-9]*.json")]
    found = [re.match(r"\d+(?=-|$)", path.stem) for path in left]
    return max((int(match[0]) for match in found if match), default=-1)


def extended(old: Sequence[Planned], new: Sequence[Planned], last: int) -> tuple[list[Planned], dict[int, int]]:
    """The jobs of a sweep that goes on with a command, and the number there of each job of the command.

    A job is the same if its configuration and its code are. One whose code or configuration changed gets a number of its
    own, and takes the place of the job of the same overrides.

    Args:
        last: as `last_number` returns it. A job whose place was taken is in the plan no more, but its folder and its result
            stay: no other job is given its number.
    """
    known = {(job.config, job.code): job for job in old}
    # Jobs of the same configuration are one job.
    typed = {tuple(job.overrides) for job in new}
    numbers: dict[int, int] = {}
    kept = {job.number: job for job in old if tuple(job.overrides) not in typed}
    following = max([last, *(job.number for job in old)]) + 1
    for job in new:
        same = known.get((job.config, job.code))
        if same is None:
            same = Planned(following, _renumbered(job, following), job.overrides, job.varied, job.config, job.code)
            following += 1
            known[job.config, job.code] = same
        kept[same.number] = same
        numbers[job.number] = same.number
    return sorted(kept.values(), key=lambda job: job.number), numbers


def _renumbered(job: Planned, number: int) -> str:
    digits, _, rest = job.name.partition("-")
    return f"{number:0{len(digits)}}-{rest}"


def write_plan(folder: Path, plan: Plan) -> None:
    search = {} if plan.search is None else {"search": [*plan.search]}
    content = {"command": plan.command, "threads": plan.threads} | search | {"jobs": [asdict(job) for job in plan.jobs]}
    text = yaml.dump(content, Dumper=DUMPER, sort_keys=False)
    write_text(folder / SWEEP, text)


def read_plan(folder: Path) -> Plan | None:
    """The plan of a sweep; None if there is none.

    Raises:
        ConfigError: the file is damaged.
    """
    path = folder / SWEEP
    if not path.exists():
        return None
    try:
        content = read_yaml(path, LARGEST)
        jobs = tuple(Planned(**job) for job in content["jobs"])
        # A sweep's folder is data: no name in it leads out of it.
        if not all(re.fullmatch(r"\d+[\w.-]*", job.name) for job in jobs):
            raise ValueError("a job's name")
        search = content.get("search")
        return Plan(
            str(content["command"]), int(content["threads"]), jobs, None if search is None else tuple(map(str, search))
        )
    # A damaged file can raise a dozen types of exception, from YAML's to a missing key's.
    except ConfigError as error:
        raise ConfigError(f"{relative(path)}: {error}") from None
    except Exception as error:
        raise ConfigError(f"{relative(path)}: damaged ({type(error).__name__}).") from None
