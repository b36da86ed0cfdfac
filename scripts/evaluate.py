"""Re-compute the test metrics of a saved run: `python scripts/evaluate.py run=logs/runs/...` (or run=last).

Loads the weights that it ended with, and nothing else, into the network that its config.yaml describes.
"""

import sys
from pathlib import Path

from gradpath.config.launch import one_line_errors
from gradpath.config.run_names import find_run
from gradpath.errors import ConfigError

HELP = ("-h", "--help")


def folder_from(arguments: list[str]) -> Path:
    """The run's folder from `run=FOLDER`. Raises ConfigError."""
    if len(arguments) != 1 or not arguments[0].startswith("run="):
        raise ConfigError(f"{' '.join(arguments) or 'no run given'}: write run=FOLDER, or run=last for the newest.")
    return find_run(arguments[0].removeprefix("run="), "run")


def main() -> None:
    if set(HELP) & set(sys.argv[1:]):
        print(__doc__)
        return
    with one_line_errors():
        folder = folder_from(sys.argv[1:])
        from gradpath.run.evaluate import evaluate  # torch is slow to import; a wrong folder is answered before

        for name, value in evaluate(folder).items():
            print(f"{name}: {value:.4f}")


if __name__ == "__main__":
    main()
