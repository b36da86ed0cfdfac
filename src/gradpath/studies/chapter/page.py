"""Writes a study as a Markdown page, and as lines for the terminal."""

import re
from collections.abc import Mapping, Sequence

from gradpath.columns import wrapped
from gradpath.run.terminal import table_lines
from gradpath.studies.chapter.entries import Entry
from gradpath.studies.chapter.study import Study, Table

INDENT = "       "
# Pattern -> the note that a page ends with if the pattern occurs in it.
NOTES = {
    r"% \+- ": "x% +- y%: mean and standard deviation over seeds.",
    r"\d points": "points: percentage points, mean of the difference seed by seed and its 95 % interval by Student's t; n: "
    "number of seeds.",
    r"\* \|": "\\*: the lowest or the highest of the rates that were tried.",
}


def page(entry: Entry, study: Study, typed: str) -> str:
    """The Markdown page of a study: what the chapter says, the pictures, the measurements and the conclusions.

    Args:
        typed: the command that makes the page.
    """
    pictures = [
        f"![{study.captions[stem]}]({file})\n\n*{study.captions[stem]}*"
        for file in study.files
        for stem in [file.partition(".")[0]]
    ]
    parts = [
        f"# {entry.heading}",
        f"**The chapter says:** {entry.says}",
        f"**Found:** {study.verdict}." if study.verdict else "",
        f"```bash\n{typed}\n```",
        *pictures,
        f"**How:** {study.setting}",
        "\n".join(_markdown(study.table)),
        "**Conclusions**, each computed from the numbers above:" if study.conclusions else "",
        "\n".join(
            f"- {'**fails**' if c.fails else c.word}: {c.statement}. Measured: {c.measured.rstrip('.')}."
            for c in study.conclusions
        ),
    ]
    parts += [note for mark, note in NOTES.items() if any(re.search(mark, part) for part in parts)]
    return "\n\n".join(part for part in parts if part) + "\n"


def contents(chapter: Mapping[str, Entry], verdicts: Mapping[str, str]) -> str:
    """The Markdown table of contents: every claim, what was found, and the page or command that shows it.

    Args:
        verdicts: name of the entry -> whether the chapter is right, and the number that shows it.
    """
    rows = []
    for name, entry in chapter.items():
        shown = f"`{entry.typed}`" if entry.typed else f"[{name}]({name}.md)"
        rows.append((", ".join(entry.claims), entry.title, entry.says, verdicts.get(name, "run it"), shown))
    return "\n\n".join([
        "# The chapter, claim by claim",
        "Each page says what the chapter says, shows what was measured, and concludes from it. All are made by "
        "`make studies`; `python scripts/study.py NAME` runs one of them again, `python scripts/tour.py` walks through all, "
        "small, in four to seven minutes.",
        "\n".join(_markdown(Table(("claim", "question", "the chapter says", "found", "shown by"), rows))),
    ]) + "\n"  # fmt: skip


def terminal(entry: Entry, study: Study) -> list[str]:
    """The lines that the terminal shows: the table, the verdict and the conclusions."""
    lines = [*wrapped(entry.heading), ""]
    lines += table_lines(study.table.header, study.table.rows, "left")
    lines.append("")
    if study.verdict:
        lines += [*wrapped(f"found {study.verdict}", further=INDENT), ""]
    if not study.conclusions:
        lines.append("nothing can be concluded from these numbers")
    for conclusion in study.conclusions:
        lines += wrapped(f"{'FAILS' if conclusion.fails else conclusion.word}: {conclusion.statement}", further=INDENT)
        lines += wrapped(conclusion.measured, INDENT, INDENT)
    return lines


def _markdown(table: Table) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    return [line(table.header), line(["---"] * len(table.header)), *(line(row) for row in table.rows)]
