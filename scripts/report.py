"""Writes report.html again: a sweep, or one run, as one page to look at or to
send.

    python scripts/report.py NAME           the sweep logs/sweeps/NAME, whether its jobs have ended or not
    python scripts/report.py FOLDER         a sweep, or one run, in any folder

The page needs no network and no other file. It is written into the folder.
"""

from gradpath.config.arguments import Command, Value, one_line_ends
from gradpath.errors import ConfigError
from gradpath.files import CURVES, OVERRIDES, REPORT, RESULT, SWEEP, relative
from gradpath.sweep.collecting import find
from gradpath.sweep.plan import read_plan
from gradpath.sweep.reading import read_sweep
from gradpath.sweep.report import write_report, write_run_report


def main() -> None:
    chosen = Command(__doc__, {"folder": Value(shown="FOLDER")}).read()
    if chosen.folder is None:
        raise ConfigError("no folder given: write the name of a sweep, or the folder of a sweep or of a run.")
    folder = find(chosen.folder, (SWEEP, RESULT, OVERRIDES, CURVES))
    plan = read_plan(folder)
    if plan:
        write_report(read_sweep(folder, plan))
    else:
        write_run_report(folder)
    size = (folder / REPORT).stat().st_size
    print(f"{relative(folder / REPORT)}: {size / 1000:.0f} KB")


if __name__ == "__main__":
    with one_line_ends("the page is as it was before."):
        main()
