"""Runs commands in a pseudo-terminal, and shows what would be seen in it."""

import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

# An escape sequence, a control character, or a run of text.
PIECES = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


@dataclass
class Screen:
    """What a terminal of `columns` columns shows, with all that has scrolled by.

    rows: the lines as they stand.
    broken: the rows that the terminal itself went on from, because a line was wider than it.
    bars: what the row of the live bar showed, at each redrawing.
    """

    columns: int
    rows: list[str] = field(default_factory=lambda: [""])
    broken: set[int] = field(default_factory=set)
    bars: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.row = self.column = 0

    def feed(self, text: str) -> "Screen":
        for codes, letter, control, words in PIECES.findall(text):
            if letter:
                self._obey(codes, letter)
            elif control == "\r":
                self.column = 0
            elif control == "\n":
                self._down()
            else:
                for character in words:
                    self._write(character)
                if "\u2501" in words or "\u2501" in self.rows[self.row]:
                    self.bars.append(self.rows[self.row])
        return self

    def _obey(self, codes: str, letter: str) -> None:
        if letter == "A":
            self.row = max(0, self.row - int(codes or 1))
        elif letter == "K":
            self.rows[self.row] = "" if codes == "2" else self.rows[self.row][: self.column]
        else:
            # Colours, and whether the cursor is seen.
            assert letter in "mhl", letter

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")

    def _write(self, character: str) -> None:
        if self.column == self.columns:
            self.broken.add(self.row)
            self.column = 0
            self._down()
        line = self.rows[self.row].ljust(self.column)
        self.rows[self.row] = line[: self.column] + character + line[self.column + 1 :]
        self.column += 1

    @property
    def lines(self) -> list[str]:
        """The lines as they were printed, one that the terminal broke as one."""
        lines, whole = [], ""
        for row, text in enumerate(self.rows):
            whole += text
            if row not in self.broken:
                lines.append(whole.rstrip())
                whole = ""
        return lines


def on_terminal(start: Callable[..., Any], columns: int, *arguments: str) -> tuple[Screen, int]:
    """Runs a script in a terminal of `columns` columns. Returns what it shows, and the exit code. `start`: the fixture."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    read: list[bytes] = []

    def listen() -> None:
        try:
            while piece := os.read(ours, 1 << 16):
                read.append(piece)
        except OSError:
            # The other end was closed by the last that had it open.
            return

    process = start(*arguments, stdout=theirs, stderr=theirs, COLUMNS="", TERM="xterm-256color")
    os.close(theirs)
    listener = Thread(target=listen)
    listener.start()
    code = process.wait()
    listener.join()
    os.close(ours)
    return Screen(columns).feed(b"".join(read).decode()), code
