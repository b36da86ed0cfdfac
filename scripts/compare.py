"""Compares the runs of sweeps, in groups over their seeds.

    python scripts/compare.py NAME                            the sweep logs/sweeps/NAME
    python scripts/compare.py NAME --by activation            one group per activation
    python scripts/compare.py NAME --metric ratio --sort init
    python scripts/compare.py NAME --against activation=relu  differences, seed by seed
    python scripts/compare.py NAME OTHER logs/runs/*/2026-*   several sweeps, and runs

Prints mean, standard deviation and number of runs of each group, how many
diverged, the verdicts, and the seconds. --against adds each group's difference
from its base with an interval and a test; what they leave open is "not shown".
"""

import sys

from gradpath.config.arguments import Command, Value, one_line_ends, one_of
from gradpath.errors import ConfigError

FLAGS = {
    "--by": Value(shown="KEY[,KEY]", help="the keys that make the groups; all that differ but seed, if left out"),
    "--metric": Value(shown="NAME", help="any number of a run; test/accuracy, else test/loss, if left out"),
    "--sort": Value(shown="COLUMN", help="a key or a column; the best metric first, if left out"),
    "--against": Value(shown="KEY=VALUE[,KEY=VALUE]", help="the base of the differences"),
    "--format": Value(one_of(("plain", "markdown", "csv", "json")), "FORMAT", "plain", "plain, markdown, csv or json"),
    "--partial": Value(bool, help="take a sweep whose jobs are not all done"),
}


def main() -> None:
    chosen = Command(__doc__, flags=FLAGS, many=Value(shown="SWEEP")).read()

    from gradpath.sweep.collecting import collect
    from gradpath.sweep.compared import check_names, compared
    from gradpath.sweep.tabulated import FORMATS, show_plain

    runs, lacking = collect(chosen.many)
    asked = (chosen.metric, chosen.by, chosen.sort, chosen.against)
    if lacking and not chosen.partial:
        check_names(runs, *asked)
        raise ConfigError(lacking)
    found = compared(runs, *asked)
    if chosen.format == "plain":
        show_plain(found)
        return
    print(FORMATS[chosen.format](found), end="")
    if chosen.format == "csv":
        # A table has no place for them.
        print(*found.notes, sep="\n", end="\n" * bool(found.notes), file=sys.stderr)


if __name__ == "__main__":
    with one_line_ends("nothing was written."):
        main()
