"""What a reader has to know before he averages the runs of a table: whether they were made alike."""

from collections.abc import Sequence

from gradpath.sweep.given import Given, Run


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


def versions(runs: Sequence[Run]) -> int:
    """How many versions of the code have made the runs, as far as sweeps say it. Other packages are no other version."""
    codes: dict[tuple[str, ...], set[str]] = {}
    for run in runs:
        if run.code and run.row["status"] != "missing":
            codes.setdefault(run.packages, set()).add(run.code)
    return max((len(known) for known in codes.values()), default=0)
