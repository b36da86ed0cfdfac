"""What `sweep.objective` may name: the numbers of `result.json`."""

from collections.abc import Iterable, Iterator, Sequence

from gradpath.config.fitting import TASKS
from gradpath.errors import ConfigError, nearest

ACCURACY, ERROR = "accuracy", "mae"
# The score of our own data sets, by their target; of a user's it is one of these.
SCORES = {target: ERROR if task == "regression" else ACCURACY for target, task in TASKS.items()}
# What has no stage. A number may be null, as the ratio of a network without two hidden layers.
OTHERS = (
    *("metrics.best_epoch", "metrics.last_epoch", "parameters", "seed", "seeds.draws"),
    *(f"verdict.{end}{name}" for end in ("", "end.") for name in ("ratio", "rate_per_layer")),
    "verdict.deviation.measured",
    *(f"outlook.{name}" for name in ("depth", "scales", "limit", "sigma_w2", "sigma_b2", "xi_c", "critical")),
    *(f"durations.{name}" for name in ("build", "inspect", "fit", "test")),
    *("environment.cpus", "environment.threads"),
)


def check_objective(objective: str | Sequence[str], data: Iterable[str] = ()) -> None:
    """Raises ConfigError for a number that no result has.

    Args:
        data: the targets of the data sets of all jobs, if they are known.
    """
    scores = {score for target in data for score in ([SCORES[target]] if target in SCORES else [ACCURACY, ERROR])}
    known = [*_metrics(scores or {ACCURACY, ERROR}), *OTHERS]
    for key in [objective] if isinstance(objective, str) else objective:
        if key and key not in known:
            shown = ", ".join(name for name in known if not name.startswith(("outlook.", "durations.", "environment.")))
            raise ConfigError(f"sweep.objective={key}: no number of result.json.{nearest(key, known)} There are {shown}.")


def _metrics(scores: Iterable[str]) -> Iterator[str]:
    for stage in ("val", "test", "train"):
        yield from (f"metrics.{stage}/{name}" for name in ("loss", *sorted(scores)))
