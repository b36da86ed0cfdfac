"""From `hydra/launcher=` to what runs the jobs; how many jobs at a time, on how many threads."""

import os
import shutil
import socket
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gradpath.errors import ConfigError, nearest
from gradpath.sweep.engine import Engine

# Seconds that a Ray cluster is given to answer.
PATIENCE = 3


def engine_for(
    folder: Path, launcher: Mapping[str, Any], jobs: int, threads: int, on_gpus: bool, data: Mapping[str, Any] | None
) -> Engine:
    """What runs the jobs.

    Args:
        folder: the sweep's.
        launcher: the keys of Hydra's launcher.
        jobs: how many there are to run.
        threads: of each job.
        on_gpus: whether jobs use a GPU if there is one.
        data: as for `Local`.
    """
    kind = kind_of(launcher)
    if kind == "basic":
        from gradpath.sweep.in_process import InProcess

        return InProcess()
    if kind == "slurm":
        from gradpath.sweep.slurm import Slurm

        keys = {
            key: value
            for key, value in launcher.items()
            if key not in ("_target_", "jobs", "cluster", "threads") and value is not None
        }
        return Slurm(folder, launcher["jobs"], threads, launcher["cluster"], keys)
    if kind == "ray":
        from gradpath.sweep.on_ray import OnRay

        at_a_time = None if launcher["jobs"] == "auto" else launcher["jobs"]
        return OnRay(folder, at_a_time, threads, launcher["gpus"], cores(), launcher["address"])
    from gradpath.sweep.local import Local

    devices = gpus() if on_gpus else []
    wanted = launcher["jobs"]
    places = wanted if isinstance(wanted, int) else len(devices) or max(1, cores() // threads)
    # More jobs than GPUs share them in turn.
    return Local(min(places, max(1, jobs)), [devices[k % len(devices)] for k in range(places)] if devices else [], data)


def check_launcher(launcher: Mapping[str, Any]) -> None:
    """Raises ConfigError if a key of the launcher has a wrong value, or what it needs is not here."""
    kind = kind_of(launcher)
    package = {"slurm": "submitit", "ray": "ray"}.get(kind)
    if package and find_spec(package) is None:
        raise ConfigError(f"hydra/launcher={kind}: needs {package}: python -m pip install 'gradpath[{kind}]'.")
    if kind == "ray":
        check_address(launcher["address"])
    if kind == "slurm" and launcher["cluster"] not in ("slurm", "local"):
        raise ConfigError(f"hydra.launcher.cluster={launcher['cluster']}: must be slurm or local.")
    if kind == "slurm" and launcher["cluster"] == "slurm" and shutil.which("srun") is None:
        raise ConfigError(
            "hydra/launcher=slurm: there is no Slurm on this machine; hydra.launcher.cluster=local tries it without."
        )
    for key, word in (("threads", "auto or "), ("timeout_min", "")):
        value = launcher.get(key, 1)
        if (value != "auto" or not word) and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ConfigError(f"hydra.launcher.{key}={value}: must be {word}a whole number, at least 1.")
    if kind != "basic":
        jobs = launcher.get("jobs")
        if (jobs != "auto" or kind == "slurm") and (
            not isinstance(jobs, int) or isinstance(jobs, bool) or not 1 <= jobs <= 1000
        ):
            raise ConfigError(f"hydra.launcher.jobs={jobs}: must be auto or a whole number from 1 to 1000.")


def check_address(address: Any) -> None:
    """Raises ConfigError if no Ray cluster can be there. Ray itself tries for half a minute, and prints its own log."""
    typed = f"hydra.launcher.address={address}"
    known = current_cluster() if address == "auto" else address
    if known is None:
        return
    host, _, port = str(known).strip().removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 2**16):
        raise ConfigError(f"{typed}: must be auto, host:port or ray://host:port.{nearest(str(address), ['auto'])}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        where = f" at {known.strip()}" if address == "auto" else ""
        raise ConfigError(f"{typed}: there is no Ray cluster{where} ({why}).") from None


def current_cluster() -> str | None:
    """The address of the cluster that this machine was last part of, as Ray leaves it; None if it leaves none."""
    with suppress(OSError):
        written = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray/ray_current_cluster")
        return os.environ.get("RAY_ADDRESS") or written.read_text()
    return None


def kind_of(launcher: Mapping[str, Any]) -> str:
    """local, slurm, ray or basic."""
    name = str(launcher["_target_"]).rpartition(".")[2].lower()
    return "basic" if name == "basiclauncher" else name


def threads_per_job(launcher: Mapping[str, Any], jobs: int, on_gpus: bool) -> int:
    """The threads that each job of a sweep computes with: the cores, shared, unless the user has said how many."""
    typed = launcher.get("threads", "auto")
    if typed != "auto":
        return int(typed)
    chosen = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if chosen.isdigit() and int(chosen) > 0:
        return int(chosen)
    if kind_of(launcher) == "basic":
        return cores()
    if kind_of(launcher) in ("slurm", "ray"):
        return 1
    wanted = launcher.get("jobs")
    devices = gpus() if on_gpus else []
    places = wanted if isinstance(wanted, int) else len(devices) or cores()
    return max(1, cores() // max(1, min(places, jobs)))


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES is for each GPU alone. Torch is not asked: it would be loaded, and hold a GPU."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    found = Path("/proc/driver/nvidia/gpus")
    return [str(k) for k in range(len([*found.iterdir()]))] if found.is_dir() else []
