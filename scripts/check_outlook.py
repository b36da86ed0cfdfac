"""Is the warning before training right? Compares theory with training on MNIST.

    python scripts/check_outlook.py          # plain SGD, as in Schoenholz et al. 2016
    python scripts/check_outlook.py adam

Trains 100 networks (60 with Adam) with two learning rates each. Prints a
Markdown table of what theory says and the test accuracy. Takes about an hour
on two cores. If it was stopped, the same command goes on where it was.
"""

from gradpath.config.arguments import Command, Value, one_line_ends, one_of


def main() -> None:
    chosen = Command(__doc__, {"optimizer": Value(one_of(("sgd", "adam")), "sgd|adam", default="sgd")}).read()

    from gradpath.run.terminal import show_markdown
    from gradpath.studies.outlook_check import cells, table

    show_markdown(table(cells(chosen.optimizer)))


if __name__ == "__main__":
    with one_line_ends("the same command goes on where it was."):
        main()
