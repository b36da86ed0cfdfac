"""Theory compared with measurement on 68 networks at initialisation: `python scripts/compare_theory.py`.

Prints a Markdown table of the slope of log |delta|^2 over depth, as measured
over five seeds and as predicted. Takes about five minutes on two cores.
"""

from gradpath.config.arguments import Command, one_line_ends


def main() -> None:
    Command(__doc__).read()

    from gradpath.run.terminal import show_markdown
    from gradpath.studies.networks import each
    from gradpath.studies.theory_agreement import agreement, suite, table

    show_markdown(table(each(suite(), lambda case: agreement(*case))))


if __name__ == "__main__":
    with one_line_ends("nothing was written."):
        main()
