"""A study as a page of Markdown, and in the terminal."""

from collections.abc import Sequence
from textwrap import wrap

from gradpath.studies.chapter.entries import Entry
from gradpath.studies.chapter.study import Study, Table

WIDTH, INDENT = 80, "       "


def page(name: str, entry: Entry, study: Study) -> str:
    """What the chapter says, the command, the pictures, what was measured, the conclusion."""
    pictures = [
        f"![{study.captions.get(stem, entry.title)}]({stem}.png)\n\n*{study.captions[stem]}*" for stem in study.figures
    ]
    parts = [
        f"# {entry.title} ({', '.join(entry.claims)})",
        f"**The chapter says:** {entry.says}",
        f"```bash\npython scripts/study.py {name}\n```",
        *pictures,
        f"**How:** {study.setting}",
        "\n".join(_markdown(study.table)),
        "**Conclusions**, each computed from the numbers above:",
        "\n".join(
            f"- {'holds' if c.holds else '**fails**'}: {c.statement}. Measured: {c.measured}." for c in study.conclusions
        ),
    ]
    return "\n\n".join(parts) + "\n"


def terminal(entry: Entry, study: Study) -> list[str]:
    """The table and the conclusions."""
    widths = [max(len(row[k]) for row in (study.table.header, *study.table.rows)) for k in range(len(study.table.header))]
    rows = [study.table.header, *study.table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{entry.title} ({', '.join(entry.claims)})", ""]
    lines += ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    lines.append("")
    for conclusion in study.conclusions:
        lines += _wrapped(f"{'holds' if conclusion.holds else 'FAILS'}: {conclusion.statement}", "")
        lines += _wrapped(conclusion.measured, INDENT)
    return lines


def _wrapped(text: str, indent: str) -> list[str]:
    return wrap(text, WIDTH, initial_indent=indent, subsequent_indent=INDENT, break_long_words=False)


def _markdown(table: Table) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    return [line(table.header), line(["---"] * len(table.header)), *(line(row) for row in table.rows)]
