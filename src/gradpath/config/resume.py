"""Finds the folder of a run again: `resume=FOLDER`, `resume=last`, `run=last`."""

import re
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from gradpath.config.checks import PROJECT, check
from gradpath.config.renamed_targets import with_current_targets
from gradpath.config.saved_yaml import read_yaml
from gradpath.errors import ConfigError, nearest
from gradpath.files import CONFIG, OVERRIDES, RESULT, relative
from gradpath.locks import hold, is_held


def resume_arguments(argv: list[str], resumes: bool = True) -> list[str]:
    """Replaces `resume=FOLDER` by the overrides that the run was started with, and by its folder.

    Args:
        resumes: whether the command can resume a run at all.

    Raises:
        ConfigError: there is no such run, or its list of overrides is damaged.
    """
    wanted = [argument.removeprefix("resume=") for argument in argv if argument.startswith("resume=")]
    if not wanted or wanted[-1] == "null":
        return argv
    if not wanted[-1].strip("'\" "):
        raise ConfigError("resume=: write the folder of a run, or last.")
    if not resumes:
        raise ConfigError(f"resume={wanted[-1]}: there is nothing to resume without training.")
    if {"-m", "--multirun"} & set(argv):
        raise ConfigError(f"resume={wanted[-1]}: continues one run; leave out -m.")
    goes_on = any(argument.startswith(("trainer.max_epochs=", "data.epochs=")) for argument in argv)
    folder = find_run(wanted[-1], "resume", stopped=not goes_on)
    # Found out before anything is loaded.
    with hold(folder, "resume"):
        pass
    try:
        saved = read_yaml(folder / OVERRIDES)
    except ConfigError:
        saved = None
    # A run's folder is data: it cannot bring in options or Hydra's keys. (Runs of before may have `allowed_targets`.)
    saved = [text for text in saved if not str(text).startswith("allowed_targets=")] if isinstance(saved, list) else None
    if saved is None or not all(isinstance(text, str) and re.match(r"(?!hydra\b)[A-Za-z_][\w./]*=", text) for text in saved):
        raise ConfigError(f"{folder / OVERRIDES}: damaged; it should be the list of what was typed to start the run.")
    longer = next((argument for argument in argv if argument.startswith("data.epochs=")), None)
    begun = next((text for text in saved if text.startswith("trainer.max_epochs=")), None)
    if longer and begun and not any(argument.startswith("trainer.max_epochs=") for argument in argv):
        raise ConfigError(f"{longer}: the run was begun with {begun}, which counts; write trainer.max_epochs=.")
    rest = [argument for argument in argv if not argument.startswith("resume=")]
    # The command line's parser expects options before overrides.
    typed = [argument for argument in rest if "=" in argument and not argument.startswith("-")]
    options = [argument for argument in rest if argument not in typed]
    return [*options, *saved, *typed, f"hydra.run.dir={_quoted(folder)}", f"resume={_quoted(folder)}", "hydra.mode=RUN"]


def _quoted(folder: Path) -> str:
    """A folder's name as a value of Hydra's grammar, whatever characters are in it. ${...} in it is no interpolation."""
    # Each backslash before ${ is doubled, and one more says that the $ is meant.
    text = re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", str(folder))
    return QuotedString(text, Quote.single).with_quotes()


def read_config(folder: Path) -> dict[str, Any]:
    """The resolved configuration of a run, checked as one that was typed.

    Raises:
        ConfigError: the file is missing or damaged, or not a configuration that may run here.
    """
    try:
        content = with_current_targets(read_yaml(folder / CONFIG))
        config = {str(key): value for key, value in content.items()}
        check(config)
    except ConfigError as error:
        raise ConfigError(f"{relative(folder / CONFIG)}: {error}") from None
    # A damaged file can raise a dozen types of exception, from YAML's to a missing key's.
    except Exception as error:
        raise ConfigError(f"{relative(folder / CONFIG)}: damaged ({type(error).__name__}).") from None
    return config


def find_run(name: str, key: str, stopped: bool = False) -> Path:
    """Finds the folder of a run.

    Args:
        name: a path, or `last` for the run of train.py that was started last.
        key: what was typed in front of the name, for error messages.
        stopped: `last` means the last run that was stopped: it has not come to its end, and nobody is at work in it.

    Raises:
        ConfigError: there is no such run. The message names the nearest path, if one is near.
    """
    listed = (PROJECT / "logs").rglob(OVERRIDES)
    # With hydra.output_subdir Hydra writes files of the same names below a run, and a hydra.yaml beside them.
    own = (path for path in listed if not path.with_name("hydra.yaml").exists())
    known = sorted(own, key=lambda path: path.stat().st_mtime)
    if name == "last":
        logs = PROJECT / "logs"
        # The runs below studies/ belong to a study. A run of train.py may lie anywhere else.
        runs = [path.parent for path in known if path.relative_to(logs).parts[0] != "studies"]
        open_ends = [run for run in runs if not (run / RESULT).is_file() and not is_held(run)]
        if stopped and runs and not open_ends:
            raise ConfigError(
                f"{key}=last: every run in {logs} has come to its end; trainer.max_epochs= lets the newest go on."
            )
        if not runs:
            raise ConfigError(f"{key}=last: there is no run in {logs} yet.")
        return (open_ends if stopped else runs)[-1]
    try:
        folder = Path(name).expanduser().resolve()
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"{key}={name}: {str(error).rstrip('.')}.") from None
    if not name.strip() or not (folder / OVERRIDES).is_file():
        near = nearest(str(folder), [str(path.parent) for path in known])
        raise ConfigError(f"{key}={name}: not the folder of a run (it has no {OVERRIDES}).{near}")
    return folder
