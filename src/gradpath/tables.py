"""Tables in the terminal: no cell is cut, and columns for which there is no room are named. In a pipe they are whole."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradpath.columns import width, wrapped

# Columns that a table in a pipe may have: more than any needs.
WIDEST = 1000
# Columns of the terminal between two columns of a table.
GAP = 2
# A first column of sentences may be wrapped to this width, before another column is left out.
PROSE = 24


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]], first_out: Sequence[str] = ()) -> None:
    """A table: the first column to the left, the others to the right. In a pipe as wide as its cells.

    Args:
        first_out: the columns that a narrow terminal leaves out first.
    """
    if width() is None:
        print(*(f"  {line}" for line in table_lines(header, rows, "right")), sep="\n", flush=True)
    else:
        print(*table_lines(header, rows, "right", first_out), sep="\n", flush=True)


def table_lines(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    others: Literal["left", "right"],
    first_out: Sequence[str] = (),
) -> list[str]:
    """A table as lines, no cell cut: a terminal too narrow for all columns gets fewer, and is told which are left out.

    Args:
        others: how the columns behind the first are justified.
        first_out: as for `show_table`.
    """
    columns = width()
    kept = list(range(len(header))) if columns is None else _fitting(header, rows, columns, first_out)
    console = Console(width=columns or WIDEST, color_system=None if columns is None else "auto")
    with console.capture() as captured:
        console.print(_table([header[k] for k in kept], [[row[k] for k in kept] for row in rows], others))
    said = left_out([name for k, name in enumerate(header) if k not in kept])
    return [*(line.rstrip() for line in captured.get().splitlines()), *said]


def show_markdown(lines: Iterable[str]) -> None:
    """Markdown, with its tables as a terminal's tables. In a pipe it is left as it is."""
    texts = [text for line in lines for text in line.split("\n")]
    if width() is None:
        print(*texts, sep="\n", flush=True)
        return
    for is_table, block in groupby(texts, key=lambda text: text.startswith("|")):
        if is_table:
            header, _, *rows = ([cell.strip() for cell in text.strip("|").split("|")] for text in block)
            show_table(header, rows)
        else:
            print(*(part for text in block for part in wrapped(text, further="  ")), sep="\n", flush=True)


def left_out(names: Sequence[str]) -> list[str]:
    """The lines that name the columns that a terminal is too narrow for."""
    return wrapped(f"(left out in {width()} columns: {', '.join(names)})") if names else []


def _fitting(header: Sequence[str], rows: Sequence[Sequence[str]], columns: int, first_out: Sequence[str]) -> list[int]:
    """The places of the columns that fit; those of `first_out` go first, then from the right. The first one stays."""
    needs = [max(cell_len(row[k]) for row in (header, *rows)) for k in range(len(header))]
    words = max(cell_len(word) for row in (header, *rows) for word in row[0].split() or [""])
    needs[0] = min(needs[0], max(PROSE, words))
    kept = list(range(len(header)))
    leaving = [header.index(name) for name in first_out if name in header]
    leaving += [k for k in reversed(kept) if k > 0 and k not in leaving]
    while sum(needs[k] + GAP for k in kept) - GAP > columns and leaving:
        kept.remove(leaving.pop(0))
    return kept


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], others: Literal["left", "right"]) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, GAP // 2))
    for index, name in enumerate(header):
        table.add_column(Text(name), justify="left" if index == 0 else others, no_wrap=index > 0, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
