"""Recomputes the test metrics of a saved run.

    python scripts/evaluate.py run=FOLDER
    python scripts/evaluate.py run=last               the run that was started last

Loads the run's last weights, and nothing else, into the network that its
config.yaml describes.
"""

from gradpath.config.arguments import Command, Keys, Value, one_line_ends
from gradpath.config.resume import find_run
from gradpath.errors import ConfigError
from gradpath.files import relative
from gradpath.threads import wait_briefly


def main() -> None:
    chosen = Command(__doc__, keys={"": Keys({"run": Value(shown="FOLDER")})}).read()
    if chosen.run is None:
        raise ConfigError("no run given: write run=FOLDER, or run=last for the newest.")
    folder = find_run(chosen.run, "run")
    wait_briefly()
    from gradpath.run.evaluate import evaluate  # imports torch, which is slow: a wrong folder is answered before

    found = evaluate(folder)
    print(f"run: {relative(folder)}")
    for name, value in found.items():
        print(f"{name}: {value:.4f}")


if __name__ == "__main__":
    with one_line_ends("nothing was written."):
        main()
