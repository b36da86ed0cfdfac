"""Theory beside measurement on 68 networks at initialisation: `python scripts/compare_theory.py`.

Prints the slope of log |delta|^2 over depth, measured over five seeds and predicted, as a Markdown table. About five minutes
on two cores.
"""

import sys

from gradpath.cli import one_line_errors
from gradpath.errors import ConfigError


def main() -> None:
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        return
    with one_line_errors():
        if sys.argv[1:]:
            raise ConfigError(f"{' '.join(sys.argv[1:])}: takes no arguments.")
        from gradpath.studies.theory_agreement import agreement, suite, table

        found = []
        for index, case in enumerate(suite(), 1):
            found.append(agreement(*case))
            print(f"\r{index} of {len(suite())}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        print(*table(found), sep="\n")


if __name__ == "__main__":
    main()
