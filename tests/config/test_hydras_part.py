"""What Hydra's part of somebody's option file may name, and that nothing else runs or loses its content."""

from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra._internal.logging_config import configure_logging
from omegaconf import OmegaConf

from gradpath.config import hydras_part
from gradpath.errors import ConfigError

CHAIN = "${oc.create:{_target_: os.system, command: '${hydra.runtime.output_dir}'}}"
LOGS = sorted((Path(hydra.__file__).parent / "conf/hydra").glob("*_logging/*.yaml"))


def check(part: dict[str, Any], **others: Any) -> None:
    hydras_part.check_hydra(OmegaConf.create({"hydra": part, **others}))


def configured(log: dict[str, Any], **others: Any) -> None:
    """Checks a log, and begins it as Hydra does."""
    check(log, **others)
    configure_logging(OmegaConf.create(log["job_logging"]))


def handler(**keys: Any) -> dict[str, Any]:
    return {"job_logging": {"version": 1, "handlers": {"a": keys}, "root": {"handlers": ["a"]}}}


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"callbacks": {"mine": {"_target_": "os.system"}}}, "hydra.callbacks.mine._target_=os.system"),
        ({"launcher": {"_target_": "subprocess.Popen"}}, "hydra.launcher._target_=subprocess.Popen"),
        ({"sweeper": {"_target_": "${oc.env:HOME}"}}, "hydra.sweeper._target_="),
        ({"callbacks": {"many": [{"_target_": "os.system"}]}}, "hydra.callbacks.many._target_"),
        ({"callbacks": {"mine": "${oc.create:{_target_: os.system}}"}}, "hydra.callbacks.mine=.*must be written out"),
        ({"callbacks": "${oc.decode:'{a: {_target_: os.system}}'}"}, "hydra.callbacks=.*must be written out"),
        ({"callbacks": {"mine": "${own}"}}, "hydra.callbacks.mine=.*must be written out"),
        ({"callbacks": {"mine": "${chain}"}}, "hydra.callbacks.mine=.*must be written out"),
        ({"callbacks": {"mine": "${..own}"}}, "hydra.callbacks.mine=.*must be written out"),
        (
            {"callbacks": {"mine": "${oc.decode:'{_target_: os.system, a: \"}\"}'}"}},
            "hydra.callbacks.mine=.*must be written out",
        ),
        ({"job_logging": "${own}"}, "hydra.job_logging=.*must be written out"),
        ({"job_logging": {"handlers": {"a": {"class": "subprocess.Popen"}}}}, "handlers.a.class=subprocess.Popen"),
        ({"hydra_logging": {"formatters": {"a": {"()": "os.system"}}}}, r"formatters.a.\(\)=os.system"),
        ({"hydra_logging": {"filters": {"a": {"()": "logging.os.system"}}}}, r"filters.a.\(\)=logging.os.system"),
        ({"hydra_logging": {"loggers": {"a": {"filters": ["ext://os.system"]}}}}, "loggers.a.filters=ext://os.system"),
        ({"hydra_logging": {"handlers": "${own}"}}, "must be written out"),
    ],
)
def test_no_other_code_is_named(part: dict[str, Any], message: str) -> None:
    part = {"runtime": {"output_dir": "???"}, **part}
    with pytest.raises(ConfigError, match=message):
        check(part, own={"_target_": "os.system"}, chain=CHAIN)


HARMFUL: dict[str, dict[str, Any]] = {
    "empties, as a class": {"class": "logging.io.FileIO", "file": "{file}", "mode": "w"},
    "empties, by a function": {"class": "logging.io.open", "file": "{file}", "mode": "w"},
    "empties, as a maker": {"()": "logging.io.open", "file": "{file}", "mode": "w"},
    "empties, as a log": {"class": "logging.FileHandler", "filename": "{file}", "mode": "w"},
    "empties another log": {"class": "logging.FileHandler", "filename": "{file}.log", "mode": "w"},
    "adds to any file": {"class": "logging.FileHandler", "filename": "{file}"},
    "adds to a file that is given later": {"class": "logging.FileHandler", "filename": "${{own.file}}.log"},
    "changes the file": {
        "class": "logging.FileHandler",
        "filename": "{file}.log",
        "delay": True,
        ".": {"baseFilename": "b"},
    },
    "makes a folder": {"class": "logging.os.makedirs", "name": "{file}.d"},
    "makes a link": {"class": "logging.os.symlink", "src": "/etc", "dst": "{file}.d"},
    "ends": {"class": "logging.os._exit", "status": 7},
    "looks up": {"class": "logging.StreamHandler", "stream": "ext://os.system"},
    "looks up elsewhere": {"class": "logging.StreamHandler", "stream": "cfg://handlers"},
    "looks up a file": {"class": "logging.FileHandler", "filename": "ext://attack.log"},
    "spells it": {"class": "logging.StreamHandler", "stream": "e${{own.x}}t://os.system"},
    "spells it all": {"class": "logging.StreamHandler", "stream": "${{own.stream}}"},
    "has a queue": {"class": "logging.handlers.QueueHandler", "queue": "attack.make", "listener": "attack.Listener"},
    "has a listener": {"class": "logging.StreamHandler", "listener": "attack.Listener"},
    "sends": {"class": "logging.handlers.SocketHandler", "host": "example.org", "port": 1},
    "sends pages": {"class": "logging.handlers.HTTPHandler", "host": "example.org", "url": "/"},
    "listens": {"class": "logging.config.listen"},
    "has no name": {"class": "logging."},
    "a name like another": {"class": "logging.StreamHandlers"},
}


@pytest.mark.parametrize("name", HARMFUL)
def test_no_log_runs_or_changes_anything_else(name: str, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    for path in (precious, tmp_path / "precious.log"):
        path.write_text("content")
    keys = {key: value.format(file=precious) if isinstance(value, str) else value for key, value in HARMFUL[name].items()}
    with pytest.raises(ConfigError, match=r"hydra\.job_logging\.handlers\.a\."):
        configured(handler(**keys), own={"file": str(precious), "x": "x", "stream": "ext://os.system"})
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == ["content"] * 2


@pytest.mark.parametrize("path", LOGS, ids=[f"{path.parent.name}/{path.stem}" for path in LOGS])
def test_hydras_own_logs_are_allowed(path: Path) -> None:
    hydras_part.check_log(OmegaConf.to_container(OmegaConf.load(path)), "hydra.job_logging")


@pytest.mark.parametrize(
    "keys",
    [
        {"class": "logging.handlers.RotatingFileHandler", "filename": "mine.log", "maxBytes": 1000, "backupCount": 2},
        {"class": "logging.FileHandler", "filename": "${hydra.runtime.output_dir}/x.log", "mode": "a", "formatter": "f"},
        {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "level": "INFO"},
        {"class": "logging.NullHandler"},
    ],
)
def test_usual_logs_are_allowed(keys: dict[str, Any]) -> None:
    log = handler(**keys)
    log["job_logging"]["formatters"] = {"f": {"()": "colorlog.ColoredFormatter", "format": "%(log_color)s%(message)s"}}
    check(log)


def test_hydras_own_parts_are_allowed() -> None:
    check(
        {
            "launcher": {
                "_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
                "folder": "${hydra.sweep.dir}/.submitit",
                "name": "${hydra.job.name}",
                "user": "${oc.env:USER}",
                "gpus": "${trainer.devices}",
                "place": "${trainer.devices}/${hydra.job.name}",
            },
            "callbacks": {"log": {"_target_": "hydra.experimental.callbacks.LogJobReturnCallback"}},
            "job_logging": {"handlers": {"file": {"class": "logging.FileHandler"}}, "root": None},
            "searchpath": [],
        },
        trainer={"devices": 1},
    )


def test_a_package_of_ones_own_may_be_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    log = handler(**{"class": "mylab.Handler", "stream": "ext://mylab.stream", "queue": "mylab.queue", "mode": "w"})
    with pytest.raises(ConfigError, match="If you trust the package mylab: export GRADPATH_PACKAGES=mylab"):
        check(log)
    monkeypatch.setenv("GRADPATH_PACKAGES", "mylab")
    check(log)
