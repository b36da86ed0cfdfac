"""How often the verdict is right, on more than 200 networks whose true class
and causes are measured: `python scripts/score_verdict.py`.

Prints the confusion matrices of classes and causes, and every case in which the
verdict was wrong. Takes about a quarter of an hour on two cores.
"""

from gradpath.config.arguments import Command, one_line_ends


def main() -> None:
    Command(__doc__).read()

    from gradpath.run.terminal import show_markdown
    from gradpath.studies.networks import each
    from gradpath.studies.verdict_score import score, suite, table

    scores = each(suite(), score)
    show_markdown(table(scores))
    for wrong in (s for s in scores if not (s.class_right and s.cause_right)):
        causes = " or ".join(sorted(wrong.causes)) or "none"
        print(f"\n{wrong.line}\n  measured {wrong.truth} ({wrong.ratio:.3g}), {causes}; said {wrong.said}, {wrong.cause}")


if __name__ == "__main__":
    with one_line_ends("nothing was written."):
        main()
