"""The published claims that this project stands on, computed by its own code and compared with the papers' numbers.

    python scripts/verify_science.py

All twenty take about two minutes on two cores. Exit code 0: all hold; 1: some do not. Writes logs/studies/science.json,
with every number of every claim (science_quick.json, science_8_12.json for a part of them).
"""

import sys
import time

from gradpath.config.checks import PROJECT
from gradpath.config.launch import fail
from gradpath.studies.papers.options import read
from gradpath.studies.script import one_line_ends


def main() -> None:
    chosen = read(__doc__, sys.argv[1:])

    from gradpath.run.terminal import quiet
    from gradpath.studies.papers.registry import verify
    from gradpath.studies.papers.report import save, show, summary

    quiet()
    begun = time.perf_counter()
    found = verify(chosen.numbers, chosen.seeds)
    seconds = time.perf_counter() - begun
    path = PROJECT / f"logs/studies/science{chosen.name}.json"
    show(found, in_full=chosen.only is not None)
    print(f"\n{summary(found, seconds)}\n{path}", flush=True)
    save(path, found, seconds)
    failed = [claim.number for claim, _ in found if not claim.passed]
    if failed:
        fail(f"claims that do not hold: {', '.join(map(str, failed))}", code=1)


if __name__ == "__main__":
    with one_line_ends("nothing has been written."):
        main()
