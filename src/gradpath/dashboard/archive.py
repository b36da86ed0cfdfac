"""Reads arrays out of anybody's `flow.npz`: the headers first, no pickles, never more bytes than a limit."""

import ast
import io
import math
import os
import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gradpath.dashboard.runs import version

ARRAYS = 1_000
"""The largest number of arrays in a record that is read. A full probe writes twenty."""
STORED = 2**29
"""The largest array that is read as it lies in the file, in bytes: 50 layers and 1,300,000 steps."""
DEFLATED = 2**26
"""The largest array that is read out of a compressed file, in bytes when unpacked: 50 layers and 160,000 steps.

Reading it takes half a second, as long as a STORED one. The probe does not compress.
"""
DIRECTORY = 2**18  # bytes of the archive's table of contents
HEADER = 2**9  # bytes at the beginning of an array, of which numpy writes 128. A long header takes long to parse.
BLOCK = 2**18  # bytes that are unpacked at once
SENTENCE = 300  # characters

Array = npt.NDArray[Any]


class RecordError(Exception):
    """A record cannot be shown. Its text, one short line, follows the run's name in a sentence: "is damaged: ..."."""

    def __init__(self, text: str) -> None:
        super().__init__(shortened(" ".join(text.split()), SENTENCE))


class Sparing(io.BufferedReader):
    """A file of which little is read at once: zipfile reads the table of contents whole, be it of a million arrays."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > DIRECTORY:
            raise RecordError(f"is too large: its table of contents takes {size:,} bytes.")
        return super().read(DIRECTORY if size is None or size < 0 else size)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Sparing, str]]:
    """Opens a record. Yields the file, and its version: the file stays the same if another takes its place.

    Raises:
        RecordError: there is no such file, or something that is no file.
        OSError: it cannot be opened.
    """
    # A pipe may have taken the file's place, and an ordinary opening would wait for its writer for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        os.close(descriptor)
        raise RecordError("is not a file.")
    with Sparing(io.FileIO(descriptor)) as file:
        yield file, version(state)


class Header(NamedTuple):
    """What an array says of itself. `start`: the bytes before its values. `fortran`: the first index runs fastest."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    start: int

    def __str__(self) -> str:
        return f"{self.dtype} of shape {self.shape}"

    @property
    def size(self) -> int:
        """The bytes of the values."""
        return self.dtype.itemsize * math.prod(self.shape)


class Archive:
    """The arrays of an open record.

    Raises:
        RecordError: by every method, where the archive or the array is damaged, too large, or not of the kind.
        OSError: the file cannot be read.
    """

    def __init__(self, file: Sparing) -> None:
        with explained():
            self._zip = zipfile.ZipFile(file)
        members = self._zip.infolist()
        if len(members) > ARRAYS:
            raise RecordError(f"is too large: it holds {len(members):,} arrays, and at most {ARRAYS:,} are read.")
        self._members = {
            member.filename.removesuffix(".npy"): member for member in members if member.filename[-4:] == ".npy"
        }

    @property
    def names(self) -> list[str]:
        return list(self._members)

    def size(self, name: str) -> int:
        """The most bytes that reading an array unpacks; 0 if there is no such array."""
        return self._members[name].file_size if name in self._members else 0

    def header(self, name: str) -> Header:
        """What an array says of itself, which is checked against what the archive says of its size."""
        if name not in self._members:
            raise RecordError(f"is damaged: it holds no `{name}`.")
        member = self._members[name]
        # The other ways of packing, which numpy does not use, unpack without bounds.
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise RecordError(f"is damaged: `{name}` is packed in a way that numpy does not use.")
        self._check_size(name, STORED if member.compress_type == zipfile.ZIP_STORED else DEFLATED)
        with self._zip.open(member) as file:
            beginning = io.BytesIO(file.read(HEADER))
        try:
            header = _parsed(beginning)
        except (ValueError, LookupError, SyntaxError, TypeError, RecursionError, MemoryError, struct.error):
            raise RecordError(f"is damaged: `{name}` does not begin as an array does.") from None
        # The size of objects is not in the header. They are never read.
        if min(header.shape, default=0) < 0 or not (
            header.dtype.hasobject or header.start + header.size == member.file_size
        ):
            raise RecordError(f"is damaged: `{name}` claims to be {header}, but has {member.file_size:,} bytes.")
        return header

    def _check_size(self, name: str, most: int) -> None:
        if self.size(name) > most + HEADER:
            raise RecordError(f"is too large: `{name}` takes {self.size(name):,} bytes, and at most {most:,} are read.")

    def array(self, name: str, kinds: str, most: int) -> Array:
        """A whole array whose dtype is of one of the `kinds` and which takes at most `most` bytes."""
        header = self.header(name)
        if header.dtype.kind not in kinds:
            raise RecordError(f"is damaged: `{name}` is {header}.")
        self._check_size(name, most)
        content = b"".join(self._blocks(name, header))
        return np.ndarray(header.shape, header.dtype, content, order="F" if header.fortran else "C")

    def numbers(self, name: str, shape: tuple[int, ...]) -> Header:
        """The header of an array that holds real numbers of this shape."""
        header = self.header(name)
        if header.shape != shape or header.dtype.kind not in "fiub":
            raise RecordError(f"is damaged: `{name}` is {header}, not numbers of shape {shape}.")
        return header

    def rows(self, name: str, shape: tuple[int, int], kept: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The rows `kept` (T,), in order, of a matrix (S, L), in float64. Only they are held in memory."""
        header = self.numbers(name, shape)
        count, width = shape
        every = np.arange(width)
        places = (every[:, None] * count + kept if header.fortran else kept[:, None] * width + every).ravel()
        values = np.empty(len(places))
        for start, block in self._values(name, header):
            first, end = np.searchsorted(places, (start, start + len(block)))
            values[first:end] = block[places[first:end] - start]
        return values.reshape(width, len(kept)).T if header.fortran else values.reshape(len(kept), width)

    def measured(self, name: str, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """Which rows of a matrix (S, L) hold anything but NaN, (S,).

        Integers have no NaN, and are not read. Of floats each takes a comparison and no more, whatever lies in them: an
        array of 512 MB may have a quarter of a billion.
        """
        header = self.numbers(name, shape)
        count, width = shape
        if header.dtype.kind != "f":
            return np.ones(count, dtype=bool)
        found = np.zeros(count, dtype=bool)
        # By rows, a block holds whole ones; by columns, a block may end anywhere in one.
        for start, block in self._values(name, header, 1 if header.fortran else width):
            numbers = _are_numbers(block)
            if header.fortran:
                for first, end in _pieces(start, start + len(block), count):
                    found[first % count : first % count + end - first] |= numbers[first - start : end - start]
            else:
                found[start // width : (start + len(block)) // width] = numbers.reshape(-1, width).any(axis=1)
        return found

    def _values(self, name: str, header: Header, together: int = 1) -> Iterator[tuple[int, Array]]:
        """The values in the order of the file, in blocks, each with the index of its first.

        Args:
            together: each block holds a multiple of so many values.
        """
        start = 0
        for content in self._blocks(name, header, together):
            block = np.frombuffer(content, header.dtype)
            yield start, block
            start += len(block)

    def _blocks(self, name: str, header: Header, together: int = 1) -> Iterator[bytes]:
        # A text may be longer than a block; it is put together again from any pieces.
        unit = header.dtype.itemsize * together or 1
        left, most = header.size, BLOCK - BLOCK % unit or (unit if together > 1 else BLOCK)
        with self._zip.open(self._members[name]) as file:
            file.read(header.start)
            while left:
                block = file.read(min(most, left))
                if not block or (together > 1 and len(block) % unit):
                    raise RecordError(f"is damaged: `{name}` ends early.")
                left -= len(block)
                yield block


def _parsed(beginning: io.BytesIO) -> Header:
    """A header. numpy's own function takes one that is no literal for Python 2's, which is ten times as slow."""
    size = "<H" if np.lib.format.read_magic(beginning) == (1, 0) else "<I"
    (length,) = struct.unpack(size, beginning.read(struct.calcsize(size)))
    text = beginning.read(length)
    if len(text) < length:
        raise ValueError("too long")
    said = ast.literal_eval(text.decode())
    shape, dtype = said["shape"], np.lib.format.descr_to_dtype(said["descr"])
    if not isinstance(shape, tuple) or not all(isinstance(axis, int) for axis in shape):
        raise ValueError("no shape")
    return Header(shape, bool(said["fortran_order"]), dtype, beginning.tell())


def _are_numbers(block: Array) -> npt.NDArray[np.bool_]:
    """Which floats are not NaN. For numpy, half precision is slow; its bits are not."""
    if not block.dtype.isnative:
        block = block.byteswap().view(block.dtype.newbyteorder("="))
    half = block.dtype.itemsize == 2
    numbers: npt.NDArray[np.bool_] = (block.view(np.uint16) & 0x7FFF) <= 0x7C00 if half else ~np.isnan(block)
    return numbers


def _pieces(start: int, end: int, length: int) -> Iterator[tuple[int, int]]:
    """The range from `start` to `end`, cut at the multiples of `length`."""
    while start < end:
        following = min(end, start - start % length + length)
        yield start, following
        start = following


@contextmanager
def explained() -> Iterator[None]:
    """Makes one RecordError of whatever else foreign bytes raise, from BadZipFile to RecursionError."""
    try:
        yield
    except (RecordError, OSError, MemoryError):
        raise
    except Exception as error:
        raise RecordError(f"is damaged: {error or type(error).__name__}.".replace("..", ".")) from None


def shortened(text: str, most: int) -> str:
    """A text without its middle, if it has more than `most` characters."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[most // 2 + 1 - most :]}"
