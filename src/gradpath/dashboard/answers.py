"""Answers requests for records within limits of memory and time: one large record is read at a time."""

from collections import OrderedDict
from pathlib import Path
from threading import Lock

from gradpath.dashboard.archive import Archive, RecordError, Sparing, opened
from gradpath.dashboard.records import STEPS, needed, read

KEPT = 2**25
"""The bytes of answers that are kept for the next time: a few of the largest, or hundreds."""
ENTRY = 1_000  # bytes that an answer takes beside its text
SMALL = 2**22
"""The bytes up to which a record is small."""
WAIT = 0.7
"""The seconds that a request waits for its turn. Reading takes less than one."""

Key = tuple[Path, str, str, int]


class BusyError(Exception):
    """Other records are being read; the page asks again."""


class Answers:
    """The answers to requests from many threads, of which those asked for last are kept, up to `most` bytes.

    Large records are read one at a time. Small ones are read one at a time beside them, so that none waits for a large one.
    Whoever asks for what another is waiting for shares its answer.
    """

    def __init__(self, most: int = KEPT) -> None:
        self.most = most
        self._kept: OrderedDict[Key, bytes | str] = OrderedDict()
        self._size = 0
        self._keeping, self._small, self._large = Lock(), Lock(), Lock()

    def get(self, path: Path, quantity: str, most: int = STEPS) -> bytes:
        """One quantity of the record at `path` at `most` steps, as `records.read` describes it.

        Raises:
            RecordError: the record cannot be shown.
            BusyError: other records were being read for WAIT seconds.
        """
        try:
            with opened(path) as (file, version):
                answer = self._answer(file, (path, version, quantity, most))
        except OSError as error:
            raise RecordError(f"cannot be read: {error.strerror}.") from None
        if isinstance(answer, str):
            raise RecordError(answer)
        return answer

    def _answer(self, file: Sparing, key: Key) -> bytes | str:
        """The answer, or the sentence of a refusal, which may take as long to find and is kept as well."""
        kept = self._find(key)
        if kept is not None:
            return kept
        archive = Archive(file)
        turn = self._small if needed(archive, key[2]) <= SMALL else self._large
        if not turn.acquire(timeout=WAIT):
            raise BusyError("TensorBoard is reading other records.")
        try:
            return self._find(key) or self._keep(key, _read(archive, key))
        finally:
            turn.release()

    def _find(self, key: Key) -> bytes | str | None:
        with self._keeping:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: Key, answer: bytes | str) -> bytes | str:
        """Keeps an answer in place of those that nobody has asked for the longest."""
        with self._keeping:
            self._kept[key] = answer
            self._size += ENTRY + len(answer)
            while self._size > self.most:
                self._size -= ENTRY + len(self._kept.popitem(last=False)[1])
        return answer


def _read(archive: Archive, key: Key) -> bytes | str:
    try:
        return read(archive, *key[1:])
    except RecordError as error:
        return str(error)
