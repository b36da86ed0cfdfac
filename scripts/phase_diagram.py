"""Draws the plane of sigma_w^2 and sigma_b^2 for any activation: order, chaos,
the edge between them, the depth scale, and where the standard initialisations
lie.

    python scripts/phase_diagram.py tanh

Writes logs/studies/phase_diagram_<activation>.png. Takes half a minute on two
cores.
"""

from gradpath.config.arguments import Command, Value, one_line_ends
from gradpath.config.checks import PROJECT
from gradpath.studies.pictures.saving import OUT, checked_place, save

ACTIVATION = Value(shown="ACTIVATION", default="tanh")


def main() -> None:
    chosen = Command(__doc__, {"activation": ACTIVATION}, flags={"--out": OUT}).read()
    place = checked_place(chosen.out, PROJECT / f"logs/studies/phase_diagram_{chosen.activation}.png")

    from gradpath.studies.phase_diagram import plane, standard_initialisations
    from gradpath.studies.pictures.phase_plane import phase_diagram

    marks = standard_initialisations(chosen.activation)
    found = plane(chosen.activation)
    theory = (found.sigma_w2, found.sigma_b2, found.chi_1, found.xi_c, found.edge)
    save(phase_diagram(chosen.activation, *theory, marks), place)


if __name__ == "__main__":
    with one_line_ends("nothing was written."):
        main()
