"""What a reader has to know before he averages the runs of a table: whether they were made alike."""

from collections.abc import Sequence

from gradpath.sweep.given import Given, Run

# As git shows the beginning of a commit.
DIGITS = 7


def mixed(runs: Sequence[Run], was: Given) -> list[str]:
    """Sentences on runs of several versions of the code, or of options that were edited in between."""
    found = []
    count = versions(runs)
    if count > 1:
        found.append(f"The runs were made by {count} versions of the code.")
    if was.edited:
        differ = "differ" if len(was.edited) > 1 else "differs"
        found.append(
            f"{' and '.join(was.edited)} {differ} between the runs, though no command says so: "
            "an option's file was edited, or a run went on with another value."
        )
    return found


def short_versions(runs: Sequence[Run]) -> list[str | None]:
    """The first digits of the digest of the code that made each run; None of a run of which no sweep says it."""
    return ["+".join(part[:DIGITS] for part in run.code.split("+")) or None for run in runs]


def versions(runs: Sequence[Run]) -> int:
    """How many versions of the code have made the runs, as far as sweeps say it. Other packages are no other version."""
    codes: dict[tuple[str, ...], set[str]] = {}
    for run in runs:
        if run.code and run.row["status"] != "missing":
            codes.setdefault(run.packages, set()).add(run.code)
    return max((len(known) for known in codes.values()), default=0)
