"""How deep a network still trains: test accuracy on MNIST over depth and
sigma_w^2, with theory's limit, 6 xi_c layers (Schoenholz et al. 2016, fig. 5).

    python scripts/trainability.py

Trains 130 networks in about ten minutes on two cores; --quick trains 9 in half
a minute. If it was stopped, the same command goes on where it was. Writes
logs/studies/trainability.png, and its numbers as CSV in the same folder.
"""

from gradpath.config.arguments import Command, Value, one_line_ends
from gradpath.config.checks import PROJECT
from gradpath.studies.pictures.saving import OUT, checked_place, save


def main() -> None:
    quick = Value(bool, help="a coarse grid of small networks")
    chosen = Command(__doc__, flags={"--out": OUT, "--quick": quick}).read()
    place = checked_place(chosen.out, PROJECT / f"logs/studies/trainability{'_quick' if chosen.quick else ''}.png")

    import numpy as np

    from gradpath.files import write_text
    from gradpath.studies import trainability as study
    from gradpath.studies.pictures.trainability_map import borders, trainability

    grid = study.QUICK if chosen.quick else study.FULL
    accuracy = study.accuracies(grid)
    left, *_, right = borders(np.array(grid.sigma_w2)).tolist()
    at = np.linspace(left, right, 100)
    curve = at, study.depth_limits(at.tolist())
    place.parent.mkdir(parents=True, exist_ok=True)
    write_text(place.with_suffix(".csv"), "\n".join([*study.table(grid, accuracy), ""]))
    caption = f"{study.ACTIVATION}, width {grid.width}, $\\sigma_b^2 = {study.SIGMA_B2}$; MNIST, 200 steps of SGD"
    axes = np.array(grid.sigma_w2), np.array(grid.depths, dtype=float)
    save(trainability(*axes, accuracy, curve, study.critical(), caption), place)


if __name__ == "__main__":
    with one_line_ends("the same command goes on where it was."):
        main()
