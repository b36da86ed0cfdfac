"""Finds the folder of a run again: `resume=FOLDER`, `resume=last`, `run=last`."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from yaml import YAMLError

from gradpath.config.checks import PROJECT
from gradpath.config.renamed_targets import with_current_targets
from gradpath.errors import ConfigError, nearest
from gradpath.files import CONFIG, OVERRIDES, RESULT


def resume_arguments(argv: list[str]) -> list[str]:
    """Replaces `resume=FOLDER` by the overrides that the run was started with, and by its folder.

    Raises:
        ConfigError: there is no such run, or its list of overrides is damaged.
    """
    wanted = [argument.removeprefix("resume=") for argument in argv if argument.startswith("resume=")]
    if not wanted or wanted[-1] in ("", "null"):
        return argv
    if {"-m", "--multirun"} & set(argv):
        raise ConfigError(f"resume={wanted[-1]}: continues one run; leave out -m.")
    goes_on = any(argument.startswith(("trainer.max_epochs=", "data.epochs=")) for argument in argv)
    folder = find_run(wanted[-1], "resume", stopped=not goes_on)
    try:
        saved = OmegaConf.to_container(OmegaConf.load(folder / OVERRIDES))
    except (YAMLError, OSError):
        saved = None
    if not isinstance(saved, list) or not all(isinstance(text, str) for text in saved):
        raise ConfigError(f"{folder / OVERRIDES}: damaged; it should be the list of what was typed to start the run.")
    rest = [argument for argument in argv if not argument.startswith("resume=")]
    # The command line's parser expects options before overrides.
    typed = [argument for argument in rest if "=" in argument and not argument.startswith("-")]
    options = [argument for argument in rest if argument not in typed]
    # The quotes protect characters in a folder's name that mean something in Hydra's grammar.
    return [*options, *saved, *typed, f"hydra.run.dir='{folder}'", f"resume='{folder}'", "hydra.mode=RUN"]


def read_config(folder: Path) -> dict[str, Any]:
    """The resolved configuration of a run."""
    config = with_current_targets(OmegaConf.to_container(OmegaConf.load(folder / CONFIG)))
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}


def find_run(name: str, key: str, stopped: bool = False) -> Path:
    """Finds the folder of a run.

    Args:
        name: a path, or `last` for the run of train.py that was started last.
        key: what was typed in front of the name, for error messages.
        stopped: `last` means the last run that has not come to its end.

    Raises:
        ConfigError: there is no such run. The message names the nearest path, if one is near.
    """
    known = sorted((PROJECT / "logs").rglob(OVERRIDES), key=lambda path: path.stat().st_mtime)
    if name == "last":
        logs = PROJECT / "logs"
        # The runs below studies/ belong to a study. A run of train.py may lie anywhere else.
        runs = [path.parent for path in known if path.relative_to(logs).parts[0] != "studies"]
        open_ends = [run for run in runs if not (run / RESULT).is_file()]
        if stopped and runs and not open_ends:
            raise ConfigError(
                f"{key}=last: every run in {logs} has come to its end; trainer.max_epochs= lets the newest go on."
            )
        if not runs:
            raise ConfigError(f"{key}=last: there is no run in {logs} yet.")
        return (open_ends if stopped else runs)[-1]
    folder = Path(name).expanduser().resolve()
    if not (folder / OVERRIDES).is_file():
        near = nearest(str(folder), [str(path.parent) for path in known])
        raise ConfigError(f"{key}={name}: not the folder of a run (it has no {OVERRIDES}).{near}")
    return folder
