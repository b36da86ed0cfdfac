"""Writes report.html again: a sweep, or one run, as one page to look at or to
send.

    python scripts/report.py logs/sweeps/NAME          a sweep, whether its jobs have ended or not
    python scripts/report.py FOLDER                    one run

The page needs no network and no other file. It is written into the folder.
"""

from pathlib import Path

from gradpath.config.arguments import Command, Value, one_line_ends
from gradpath.errors import ConfigError, nearest
from gradpath.files import CURVES, OVERRIDES, REPORT, RESULT, SWEEP, relative
from gradpath.sweep.plan import read_plan
from gradpath.sweep.report import write_report, write_run_report
from gradpath.sweep.rows import rows


def main() -> None:
    chosen = Command(__doc__, {"folder": Value(shown="FOLDER")}).read()
    if chosen.folder is None:
        raise ConfigError("no folder given: write the folder of a sweep or of a run.")
    folder = found(chosen.folder)
    plan = read_plan(folder)
    if plan:
        write_report(folder, plan, [*rows(folder, plan)])
    else:
        write_run_report(folder)
    size = (folder / REPORT).stat().st_size
    print(f"{relative(folder / REPORT)}: {size / 1000:.0f} KB")


def found(name: str) -> Path:
    """The folder of a sweep or of a run. Raises ConfigError if it is neither."""
    try:
        folder = Path(name).expanduser().resolve()
        if any((folder / file).is_file() for file in (SWEEP, RESULT, OVERRIDES, CURVES)):
            return folder
        beside = folder.parent.iterdir() if folder.parent.is_dir() else ()
        others = [path.name for path in beside if path.is_dir() and path != folder]
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"{name}: {str(error).rstrip('.')}.") from None
    lacks = f"it has neither {SWEEP} nor {RESULT}"
    raise ConfigError(f"{name}: not the folder of a sweep or of a run ({lacks}).{nearest(folder.name, others)}")


if __name__ == "__main__":
    with one_line_ends("the page is as it was before."):
        main()
