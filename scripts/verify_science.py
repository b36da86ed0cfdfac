"""Computes the published claims that this project stands on by its own code,
and compares the results with the papers' numbers.

    python scripts/verify_science.py

All twenty claims take about two minutes on two cores. Exit code 0 means that
all hold, 1 that some do not. Writes every number of every claim to
logs/studies/science.json; a part of the claims goes to a file of its own, such
as science_quick.json or science_8_12.json.
"""

import time

from gradpath.config.arguments import Command, Value, one_line_ends, whole, wholes
from gradpath.config.checks import PROJECT
from gradpath.errors import ConfigError, RunFailed
from gradpath.studies.papers import COUNT, SLOW

FLAGS = {
    "--only": Value(wholes(1, COUNT), "N[,N]", help=f"these claims of the {COUNT}: every number of each is shown"),
    "--seeds": Value(whole(1), "N", help="seeds of each random claim, in place of those stated"),
    "--quick": Value(bool, help=f"leave out {' and '.join(map(str, SLOW))}, which take longest"),
}


def main() -> None:
    chosen = Command(__doc__, flags=FLAGS).read()
    if chosen.only and chosen.quick:
        raise ConfigError("--only and --quick: choose one of them.")
    numbers = chosen.only or [n for n in range(1, COUNT + 1) if not (chosen.quick and n in SLOW)]
    name = "_".join(["science", *(["quick"] if chosen.quick else []), *map(str, chosen.only or [])])

    from gradpath.columns import wrapped
    from gradpath.files import relative
    from gradpath.run.terminal import quiet
    from gradpath.studies.papers.listing import save, show, summary
    from gradpath.studies.papers.registry import verify

    quiet()
    begun = time.perf_counter()
    found = verify(numbers, chosen.seeds)
    seconds = time.perf_counter() - begun
    path = PROJECT / f"logs/studies/{name}.json"
    show(found, in_full=bool(chosen.only))
    print("", *wrapped(summary(found, seconds)), relative(path), sep="\n", flush=True)
    save(path, found, seconds)
    failed = [claim.number for claim, _ in found if not claim.passed]
    if failed:
        raise RunFailed(f"claims that do not hold: {', '.join(map(str, failed))}")


if __name__ == "__main__":
    with one_line_ends("nothing has been written."):
        main()
