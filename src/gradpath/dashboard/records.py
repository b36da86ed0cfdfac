"""Finds and reads records: `flow.npz` files, which may be growing, damaged, huge or not ours."""

import json
import math
import os
import zipfile
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gradpath.flow.record import FILE

STEPS = 500
"""The largest number of steps in an answer. A heat map has fewer columns to show them."""
CELLS = 200_000
"""The largest number of values in an answer, about 4 MB. A network of 1,000 layers is sent with 200 steps."""
LAYERS = 10_000
GRADIENTS = {"delta", "delta_second_moment", "delta_rms", "weight_grad_norm", "weight_grad_norm_clipped", "bias_grad_norm"}
"""Measured on every recorded step. In any other quantity, a row of NaN means that the step has no measurement."""
BYTES = 2**29
"""The largest array that is read, in bytes: 80 times one of 100 layers and 10,000 steps."""

Array = npt.NDArray[Any]
Root = tuple[str, Path]


class RecordError(Exception):
    """A record cannot be shown. Its text follows the run's name in a sentence: "is damaged: ..."."""


def roots(logdir: str | None, spec: str | None) -> list[Root]:
    """Reads `--logdir` or `--logdir_spec name:path,path` as TensorBoard does. Returns (name of the group or "", folder)."""
    if logdir:
        return [("", Path(logdir).expanduser())]
    pairs = []
    for part in (spec or "").split(","):
        name, colon, path = part.partition(":")
        named = colon and not part.startswith("/") and not path.startswith("//") and not os.path.splitdrive(part)[0]
        pairs.append((name, path) if named else ("", part))
    return [(name, Path(path).expanduser().resolve()) for name, path in pairs if path]


class Runs:
    """The runs with a record below some folders, named as TensorBoard names them. Each listing looks for them again."""

    def __init__(self, roots: list[Root]) -> None:
        self.roots = roots
        self._paths: dict[str, Path] = {}

    def listing(self) -> list[dict[str, str]]:
        """The `name` and `version` of every run, the newest first."""
        self._paths = {name: path for group, root in self.roots for name, path in _walk(group, root)}
        dated = []
        for name, path in self._paths.items():
            try:
                dated.append((path.stat().st_mtime_ns, name, version(path)))
            except (RecordError, OSError):
                continue  # deleted since it was found
        return [{"name": name, "version": state} for _, name, state in sorted(dated, reverse=True)]

    def path(self, name: str) -> Path | None:
        """The record of a listed run; None for any other name, such as one with `..` in it."""
        if name not in self._paths:
            self.listing()
        return self._paths.get(name)


def _walk(group: str, root: Path) -> Iterable[tuple[str, Path]]:
    # TensorBoard follows links too, so a link to a folder above it must not be followed for ever.
    seen = set()
    for folder, below, files in os.walk(root, followlinks=True):
        try:
            here = Path(folder).stat()
            found = FILE in files and Path(folder, FILE).is_file()
        except OSError:
            continue
        if (here.st_dev, here.st_ino) in seen:
            below.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        if found:
            name = os.path.join(group, os.path.relpath(folder, root))  # noqa: PTH118  "group/.", as TensorBoard has it
            yield name.encode(errors="replace").decode(), Path(folder, FILE)


def version(path: Path) -> str:
    """A text that changes whenever the file is replaced.

    Raises:
        RecordError: the file is gone or cannot be read.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}.") from None
    return f"{state.st_mtime_ns}-{state.st_size}-{state.st_ino}"


@lru_cache(maxsize=32)
def read(path: Path, version: str, quantity: str) -> str:
    """One quantity of a record, as JSON. NaN becomes null; the infinities become "inf" and "-inf".

    version, quantity: the arguments. The cache reads a file again when its version changes.
    layers: (L,), names.
    steps: (T,), at most STEPS of the `recorded` steps, always with the first and the last.
    recorded: the number of recorded steps. Steps without a measurement of `quantity` count only if it is one of GRADIENTS.
    quantities: the names of all quantities that can be shown.
    values: (T, L), or null if the record does not hold `quantity`.
    theory, theory_band, seeds_band: (L,), (2, L) and (2, L), what is drawn beside step 0, or null.
    verdict: the parts that the page shows, or null.

    Raises:
        RecordError: the file cannot be opened, is damaged, or holds something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            content = _content(archive, quantity)
    except RecordError:
        raise
    except PermissionError as error:
        raise RecordError(f"cannot be read: {error.strerror}.") from None
    except Exception as error:
        # Foreign bytes raise almost anything, from BadZipFile to MemoryError, and none of it may reach TensorBoard.
        raise RecordError(f"is damaged: {error or type(error).__name__}.".replace("..", ".")) from None
    return json.dumps({"version": version, "quantity": quantity, **content})


def _content(archive: zipfile.ZipFile, quantity: str) -> dict[str, Any]:
    layers, steps = _array(archive, "layer"), _array(archive, "step")
    if layers.ndim != 1 or layers.dtype.kind != "U" or not 0 < len(layers) <= LAYERS:
        raise RecordError(f"is damaged: `layer` must be 1 to {LAYERS:,} names.")
    if steps.ndim != 1 or steps.dtype.kind not in "iu" or (np.diff(steps.astype(np.int64)) <= 0).any():
        raise RecordError("is damaged: `step` must be increasing integers.")
    shape = (len(steps), len(layers))
    rows = np.arange(len(steps))
    matrix = None
    if f"{quantity}.npy" in archive.namelist():
        matrix = _numbers(archive, quantity, shape)
        if quantity not in GRADIENTS:
            measured = ~np.isnan(matrix).all(axis=1)
            rows = rows[measured] if measured.any() else rows
    kept = rows[sample(len(rows), min(STEPS, max(2, CELLS // len(layers))))]
    if matrix is not None:
        matrix = matrix[kept]
    return {
        "layers": layers.tolist(),
        "steps": steps[kept].tolist(),
        "recorded": len(rows),
        "quantities": [name for name in _names(archive) if _fits(archive, name, shape)],
        "values": None if matrix is None else _encoded(matrix),
        "theory": _line(archive, f"theory_{quantity}", shape[1:]),
        "theory_band": _line(archive, f"theory_{quantity}_band", (2, *shape[1:])),
        "seeds_band": _line(archive, f"seeds_{quantity}_band", (2, *shape[1:])),
        "verdict": _verdict(archive),
    }


def _line(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> list[Any] | None:
    """An array that is drawn beside the measured quantity; None if the record does not have it."""
    return _encoded(_numbers(archive, name, shape)) if f"{name}.npy" in archive.namelist() else None


def sample(count: int, limit: int) -> npt.NDArray[np.int64]:
    """At most `limit` evenly spread indices below `count`, always with the first and the last; `limit` is at least 2."""
    return np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(np.int64))


def _names(archive: zipfile.ZipFile) -> list[str]:
    names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    return [
        name for name in names if name not in ("layer", "step", "verdict") and not name.startswith(("theory_", "seeds_"))
    ]


def _fits(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> bool:
    """Whether an array can be shown, judged by its header alone."""
    try:
        found, dtype = _header(archive, name)
    except Exception:  # one damaged array must not hide the others
        return False
    return found == shape and dtype.kind in "fiub"


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with archive.open(f"{name}.npy") as file:
        form = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if form == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
    # numpy allocates what the header claims before it sees how little follows.
    if dtype.itemsize * math.prod(shape) > min(BYTES, archive.getinfo(f"{name}.npy").file_size):
        raise RecordError(f"is damaged: `{name}` claims to be of shape {shape}, which is too large.")
    return shape, dtype


def _array(archive: zipfile.ZipFile, name: str) -> Array:
    if f"{name}.npy" not in archive.namelist():
        raise RecordError(f"is damaged: it holds no `{name}`.")
    _header(archive, name)
    with archive.open(f"{name}.npy") as file:
        array: Array = np.lib.format.read_array(file, allow_pickle=False)
        return array


def _numbers(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    found, dtype = _header(archive, name)
    if found != shape or dtype.kind not in "fiub":
        raise RecordError(f"is damaged: `{name}` is {dtype} of shape {found}, not numbers of shape {shape}.")
    return _array(archive, name).astype(np.float64)


def _encoded(array: npt.NDArray[np.float64]) -> list[Any]:
    """The array as nested lists. JSON has neither NaN nor infinities: they become None, "inf" and "-inf"."""
    values = array.astype(object)
    values[np.isnan(array)] = None
    values[np.isposinf(array)] = "inf"
    values[np.isneginf(array)] = "-inf"
    encoded: list[Any] = values.tolist()
    return encoded


def _verdict(archive: zipfile.ZipFile) -> dict[str, Any] | None:
    """The parts of the verdict that the page shows; None if there is no verdict or it cannot be read."""
    try:
        content = json.loads(str(_array(archive, "verdict")[()]))
        findings = [finding for finding in content.get("findings") or [] if isinstance(finding, dict)][:3]
        texts = ("kind", "cause", "layer", "message", "remedy")
        return {
            **_judgement(content),
            "end": _judgement(content["end"]) if isinstance(content.get("end"), dict) else None,
            "findings": [{key: _text(finding.get(key)) for key in texts} for finding in findings],
            "deviation": _text((content.get("deviation") or {}).get("sentence")),
        }
    except Exception:  # a verdict we cannot read is no reason to hide the matrix
        return None


def _judgement(content: dict[str, Any]) -> dict[str, Any]:
    return {
        "class": _text(content.get("class")),
        "ratio": _number(content.get("ratio")),
        "rate_per_layer": _number(content.get("rate_per_layer")),
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | str | None:
    """A number as `_encoded` encodes it, or None. It may be stored as text, because JSON has no infinity."""
    try:
        number: float | str | None = _encoded(np.array([float(value)]))[0]
    except (TypeError, ValueError):
        return None
    return number
