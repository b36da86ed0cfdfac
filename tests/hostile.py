"""Writes records that mean harm, or only look like it: bombs, lies, huge texts, strange arrays. Drawn by a seed."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from synthetic import content

STRANGE = ("complex", "texts", "pickled", "scalar", "five axes", "dates")
PICKLED = "unpickled"


class Trap:
    """An object whose unpickling makes a file called PICKLED in the working folder."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path(PICKLED),))


def header(shape: tuple[int, ...], descr: str = "<f8") -> bytes:
    """The first bytes of an `.npy` file, with whatever they claim."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


def npz(arrays: dict[str, Any], level: int | None = 1) -> bytes:
    """An archive of arrays, deflated at `level`, or stored as it is."""
    file = io.BytesIO()
    with zipfile.ZipFile(
        file, "w", zipfile.ZIP_STORED if level is None else zipfile.ZIP_DEFLATED, compresslevel=level
    ) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asanyarray(array))
    return file.getvalue()


def bomb(start: bytes, filler: bytes, size: int, claimed: int | None = None) -> bytes:
    """A member `delta.npy` that begins with `start` and goes on with `filler` until it has `size` bytes.

    A mebibyte of the filler is deflated once and repeated.

    Args:
        claimed: what the archive says of its size, if not the truth.
    """
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflate.compress(start) + deflate.flush(zlib.Z_FULL_FLUSH)
    block = filler * (2**20 // len(filler))
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    repeated = deflate.compress(block) + deflate.flush(zlib.Z_FULL_FLUSH)
    blocks, rest = divmod(size - len(start), len(block))
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed += repeated * blocks + deflate.compress(block[:rest]) + deflate.flush()
    checksum = zlib.crc32(start)
    for _ in range(blocks):
        checksum = zlib.crc32(block, checksum)
    checksum = zlib.crc32(block[:rest], checksum)
    name = b"delta.npy"
    fields = (
        20,
        0,
        zipfile.ZIP_DEFLATED,
        0,
        0x21,
        checksum,
        len(packed),
        size if claimed is None else claimed,
        len(name),
        0,
    )
    local = struct.pack("<4s5H3I2H", b"PK\3\4", *fields) + name + packed
    listed = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, *fields, 0, 0, 0, 0, 0) + name
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(listed), len(local), 0)
    return local + listed + end


def beside(whole: bytes, arrays: dict[str, Any]) -> bytes:
    """The archive `whole` of one member, with more arrays behind it."""
    file = io.BytesIO(whole)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asanyarray(array))
    return file.getvalue()


def axes(steps: int, layers: int) -> dict[str, Any]:
    """The names and steps of a record, without a quantity."""
    return {"layer": np.array([f"layer_{index}" for index in range(layers)]), "step": np.arange(steps)}


def honest_bomb(random: np.random.Generator) -> bytes:
    layers = int(random.integers(50, 64))
    start = header((1_000_000, layers))
    return beside(bomb(start, bytes(8), len(start) + 8_000_000 * layers), axes(1_000_000, layers))


def lying_bomb(random: np.random.Generator) -> bytes:
    steps = int(random.integers(10, 100))
    start = header((steps, 4))
    return beside(bomb(start, bytes(8), 2**31, len(start) + 32 * steps), axes(steps, 4))


def long_header(random: np.random.Generator) -> bytes:
    size = int(random.integers(600, 1000)) * 2**20
    start = b"\x93NUMPY\2\0" + struct.pack("<I", size)
    return beside(bomb(start, b" ", size + len(start)), axes(5, 4))


def other_packing(random: np.random.Generator) -> bytes:
    """Packed by bzip2, of which a few bytes become hundreds of megabytes at once."""
    file = io.BytesIO(npz(axes(200_000, 50)))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("delta.npy", header((200_000, 50)) + bytes(8 * 200_000 * 50) + bytes(int(random.integers(1, 9))))
    return file.getvalue()


def named(count: int, length: int) -> bytes:
    """A record with layers whose names have `length` characters."""
    names = np.array([f"{index:04d}" * (length // 4) for index in range(count)])
    return npz(axes(5, count) | {"layer": names, "delta": np.ones((5, count))})


def long_names(random: np.random.Generator) -> bytes:
    return named(1_000, int(random.integers(1_500, 2_000)))


def endless_names(random: np.random.Generator) -> bytes:
    return named(1_000, int(random.integers(20_000, 40_000)))


def judged(findings: list[dict[str, str]]) -> bytes:
    verdict = {
        "class": "vanishing" * 1_000,
        "ratio": float("nan"),
        "findings": findings,
        "deviation": {"sentence": "d" * 9_000},
    }
    return npz(content(count=4, steps=5) | {"verdict": np.array(json.dumps(verdict))})


def finding(length: int) -> dict[str, str]:
    return {
        "kind": "k" * length,
        "cause": "c" * length,
        "layer": "l" * length,
        "message": "m" * length,
        "remedy": "r" * length,
    }


def many_findings(random: np.random.Generator) -> bytes:
    return judged([finding(9_000)] * 3 + [finding(5)] * int(random.integers(1_000, 1_100)))


def endless_findings(random: np.random.Generator) -> bytes:
    return judged([finding(9_000)] * int(random.integers(1_000, 1_500)))


def long_verdict(random: np.random.Generator) -> bytes:
    """Two hundred kilobytes that become a text of sixty million characters."""
    return judged([{"message": "the gradient vanishes " * int(random.integers(2_500_000, 2_900_000))}])


def nothing_but_nan(random: np.random.Generator) -> bytes:
    steps = int(random.integers(25_000, 30_000))
    return npz(axes(steps, 200) | {name: np.full((steps, 200), np.nan) for name in ("delta", "update_ratio")})


def many_arrays(random: np.random.Generator) -> bytes:
    empty = np.ones((2, 2))
    return npz(axes(2, 2) | {f"{'q' * 40}{index}": empty for index in range(int(random.integers(15_000, 20_000)))}, None)


def wide(random: np.random.Generator) -> bytes:
    steps = int(random.integers(700, 800))
    return npz(content(count=10_000, steps=1) | axes(steps, 10_000) | {"delta": np.full((steps, 10_000), random.random())})


def strange(random: np.random.Generator, kind: str) -> bytes:
    arrays = content(count=4, steps=5)
    return npz(arrays | {
        "complex": {"delta": arrays["delta"] * 1j},
        "texts": {"delta": np.full((5, 4), "a" * int(random.integers(1, 9)))},
        "pickled": {"delta": np.array([[Trap()] * 4] * 5), "verdict": np.array(Trap())},
        "scalar": {"delta": np.float64(1), "step": np.int64(1)},
        "five axes": {"delta": np.ones((5, 4, 1, 1, int(random.integers(1, 9))))},
        "dates": {"step": np.arange(5).astype("M8[s]")},
    }[kind])  # fmt: skip


def truncated(random: np.random.Generator) -> bytes:
    whole = npz(content(count=50, steps=2_000))
    return whole[: int(random.integers(1_000, len(whole) - 1_000))]


def long_run(steps: int, layers: int, level: int | None) -> bytes:
    """A genuine long run: noise, which deflating makes hardly smaller."""
    noise = np.random.default_rng(0).random((steps, layers))
    return npz(axes(steps, layers) | {"delta": noise, "weight_norm": noise}, level)


HOSTILE: dict[str, Callable[[np.random.Generator], bytes]] = {
    function.__name__: function
    for function in (
        honest_bomb, lying_bomb, long_header, other_packing, many_arrays, truncated, wide, nothing_but_nan,
        long_names, endless_names, many_findings, endless_findings, long_verdict,
    )
}  # fmt: skip


def put(folder: Path, whole: bytes) -> None:
    """Makes `whole` the folder's record by renaming, as a run does."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".flow.npz").write_bytes(whole)
    (folder / ".flow.npz").replace(folder / "flow.npz")


def copy(folder: Path, others: list[Path]) -> None:
    """Gives each of the other folders the record of this one, as a link that takes no room."""
    for other in others:
        other.mkdir(parents=True)
        (other / "flow.npz").hardlink_to(folder / "flow.npz")
