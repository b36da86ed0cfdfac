"""How often the verdict is right, on more than 200 networks whose truth is measured: `python scripts/score_verdict.py`.

Prints the two confusion matrices, and every case in which it erred. About ten minutes on two cores.
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
        from gradpath.studies.verdict_score import score, suite, table

        scores = []
        for index, case in enumerate(suite(), 1):
            scores.append(score(case))
            print(f"\r{index} of {len(suite())}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        print(*table(scores), sep="\n")
        for wrong in (s for s in scores if not (s.class_right and s.cause_right)):
            causes = " or ".join(sorted(wrong.causes)) or "none"
            print(
                f"\n{wrong.line}\n  measured {wrong.truth} ({wrong.ratio:.3g}), {causes}; said {wrong.said}, {wrong.cause}"
            )


if __name__ == "__main__":
    main()
