"""Every initialisation with every activation at depths 10, 20 and 50: the
gradient at step 0, and the test accuracy after one epoch.

    python scripts/compare_init.py

Trains 1014 networks of width 100 on MNIST and prints Markdown tables. Takes
about an hour on two cores. If it was stopped, the same command goes on where it
was.
"""

from gradpath.config.arguments import Command, one_line_ends


def main() -> None:
    Command(__doc__).read()

    from gradpath.run.terminal import show_markdown
    from gradpath.studies.init_comparison import schemes, tables

    show_markdown(tables(schemes()))


if __name__ == "__main__":
    with one_line_ends("the same command goes on where it was."):
        main()
