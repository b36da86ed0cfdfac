"""How much is computed for one answer: by cells, whatever their number of bytes, and by headers, whatever their number."""

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradpath.dashboard import archive
from gradpath.dashboard.answers import Answers
from gradpath.dashboard.archive import Archive, opened

SEED = 2026
DTYPES = ("<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<f16", "?", "i1", "u1", "<i2", ">i2", ">i8", "<u8")
# One long step, one long layer, rows that do not divide a block, columns longer and shorter than one.
SHAPES = ((1, 10_000), (300_000, 1), (30_000, 7), (97, 4_001), (3, 9_999))


class Counted:
    """Counts the cells that are compared, and the bytes that are unpacked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cells = self.bytes = 0
        compare, blocks = archive._are_numbers, Archive._blocks

        def comparing(block: Any) -> Any:
            self.cells += block.size
            return compare(block)

        def unpacking(*arguments: Any, **keys: Any) -> Any:
            for block in blocks(*arguments, **keys):
                self.bytes += len(block)
                yield block

        monkeypatch.setattr(archive, "_are_numbers", comparing)
        monkeypatch.setattr(Archive, "_blocks", unpacking)


def matrix(dtype: str, shape: tuple[int, int], order: Any) -> Any:
    """Numbers, of which the floats have rows of NaN, rows that end in a number, and infinities."""
    random = np.random.default_rng(SEED)
    numbers = random.integers(0, 2, shape).astype(dtype)
    if numbers.dtype.kind == "f":
        numbers[:, 0] = np.inf
        numbers[random.random(len(numbers)) < 0.7] = np.nan
        numbers[random.random(len(numbers)) < 0.1, -1] = -np.inf
    return np.asarray(numbers, order=order)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_are_judged_by_one_look_at_each_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: Any, dtype: str
) -> None:
    """A float is compared once, an integer never, and it is read once only: for the rows that are shown."""
    for shape in SHAPES:
        values = matrix(dtype, shape, order)
        np.savez(tmp_path / "flow.npz", layer=np.arange(shape[1]).astype(str), step=np.arange(shape[0]), rank=values)
        counted = Counted(monkeypatch)
        with opened(tmp_path / "flow.npz") as (file, _):
            measured = Archive(file).measured("rank", shape)
        assert np.array_equal(measured, (~np.isnan(values)).any(axis=1))
        assert counted.cells == (values.size if values.dtype.kind == "f" else 0)
        assert counted.bytes == (values.nbytes if values.dtype.kind == "f" else 0)
        answer = json.loads(Answers().get(tmp_path / "flow.npz", "rank"))
        assert answer["recorded"] == (measured.sum() or len(measured))
        assert measured[answer["steps"]].all() or not measured.any()
        shown = values[answer["steps"]].astype(np.float64)
        assert np.array_equal(np.array(answer["values"], dtype=np.float64), shown, equal_nan=True)


def test_every_half_of_a_number_is_judged_as_numpy_does() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    for block in (every, every.astype(">f2")):
        assert np.array_equal(archive._are_numbers(block), ~np.isnan(every))


@pytest.mark.parametrize("axis", ["1", "1L"])
def test_many_long_headers_are_not_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, axis: str) -> None:
    """A thousand headers of ten thousand characters, or of Python 2, took numpy seven seconds."""
    parsed: list[str] = []
    literal = archive.ast.literal_eval
    monkeypatch.setattr(archive.ast, "literal_eval", lambda text: parsed.append(text) or literal(text))
    monkeypatch.setattr(np.lib.format, "read_array_header_1_0", pytest.fail)
    with zipfile.ZipFile(tmp_path / "flow.npz", "w", zipfile.ZIP_DEFLATED) as file:
        for name, array in {"layer": np.array(["a", "b"]), "step": np.arange(5), "delta": np.ones((5, 2))}.items():
            whole = io.BytesIO()
            np.save(whole, array)
            file.writestr(f"{name}.npy", whole.getvalue())
        for index, count in enumerate([30, 3_000] * 490):
            said = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({f'{axis},' * count}), }}\n".encode()
            file.writestr(f"q{index}.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(said)) + said + bytes(8))
    answer = json.loads(Answers().get(tmp_path / "flow.npz", "delta"))
    assert (answer["quantities"], len(answer["values"])) == (["delta"], 5)
    assert max(map(len, parsed)) <= archive.HEADER
    assert len(parsed) < 500
