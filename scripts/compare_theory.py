"""Theory beside measurement on 68 networks at initialisation: `python scripts/compare_theory.py`.

Prints the slope of log |delta|^2 over depth, measured over five seeds and predicted, as a Markdown table. About five minutes
on two cores.
"""

from gradpath.config.arguments import Command, one_line_ends


def main() -> None:
    Command(__doc__).read()

    from gradpath.studies.networks import each
    from gradpath.studies.theory_agreement import agreement, suite, table

    print(*table(each(suite(), lambda case: agreement(*case))), sep="\n")


if __name__ == "__main__":
    with one_line_ends("nothing was written."):
        main()
