"""How often the verdict is right: `python scripts/score_verdict.py [WHAT]`.

  networks   more than 200 networks whose true class and causes are measured;
             a quarter of an hour on two cores (what runs without a word)
  branching  100 networks that branch, against float64 autograd; ten seconds
  faults     34 training programs with faults, and their healthy twins; a minute

Prints the tables, and every case in which the verdict was wrong.
"""

from gradpath.config.arguments import Command, Value, one_line_ends, one_of

WHAT = ("networks", "branching", "faults")


def main() -> None:
    what = Command(__doc__, words={"what": Value(one_of(WHAT), "WHAT", "networks")}).read().what
    {"networks": networks, "branching": branching, "faults": faults}[what]()


def networks() -> None:
    from gradpath.run.terminal import show_markdown
    from gradpath.studies.networks import each
    from gradpath.studies.verdict_score import score, suite, table

    scores = each(suite(), score)
    show_markdown(table(scores))
    for wrong in (s for s in scores if not (s.class_right and s.cause_right)):
        causes = " or ".join(sorted(wrong.causes)) or "none"
        print(f"\n{wrong.line}\n  measured {wrong.truth} ({wrong.ratio:.3g}), {causes}; said {wrong.said}, {wrong.cause}")


def branching() -> None:
    from gradpath.run.terminal import show_markdown
    from gradpath.studies.networks import each
    from gradpath.studies.zoo import score, suite, table

    sights = each(suite(), score)
    show_markdown(table(sights))
    for wrong in (sight for sight in sights if sight.truth != sight.said):
        measured = f"measured {wrong.truth} ({wrong.ratio:.3g})"
        print(f"\n{wrong.name}, weights times {wrong.factor:.3g}: {measured}, said {wrong.said}")


def faults() -> None:
    from gradpath.run.terminal import show_markdown
    from gradpath.studies.loop_faults import outcome, programs, table
    from gradpath.studies.networks import each

    show_markdown(table(each(programs(), outcome)))


if __name__ == "__main__":
    with one_line_ends("nothing was written."):
        main()
