"""One quantity of a record as the page shows it, taken from a `flow.npz` that may be growing, damaged, huge or not ours."""

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from gradpath.dashboard.archive import Archive, RecordError, explained, shortened
from gradpath.flow.record import IN_TIME

STEPS = 500
"""The largest number of steps in an answer. A heat map has fewer columns to show them."""
CELLS = 200_000
"""The largest number of values in an answer, about 4 MB. A network of 1,000 layers is sent with 200 steps."""
LAYERS = 10_000
RECORDED = 2_000_000
"""The largest number of steps in a record."""
NAME, NAMES, TEXT = 200, 200_000, 1_000
"""The largest number of characters in an answer: of a name, of all layers' names, of a sentence of the verdict."""
NAME_BYTES, VERDICT_BYTES = 2**23, 2**20
"""The largest names and verdict that are read, in bytes, of which a character takes four."""
GRADIENTS = {"delta", "delta_second_moment", "delta_rms", "weight_grad_norm", "weight_grad_norm_clipped", "bias_grad_norm"}
"""Measured on every recorded step. In any other quantity, a row of NaN means that the step has no measurement."""


def needed(archive: Archive, quantity: str) -> int:
    """The bytes that `read` unpacks, but for a few small arrays."""
    return sum(archive.size(name) for name in ("layer", "step", quantity))


def read(archive: Archive, version: str, quantity: str, most: int = STEPS) -> bytes:
    """One quantity of a record, as JSON of less than 10 MB. NaN becomes null; the infinities become "inf" and "-inf".

    version, quantity: the arguments.
    layers: (L,), names, long ones without their middle.
    steps: (T,), at most `most` of the `recorded` steps, always with the first and the last.
    recorded: the number of recorded steps. Steps without a measurement of `quantity` count only if it is one of GRADIENTS.
    quantities: the names of all quantities that can be shown.
    values: (T, L), or null if the record does not hold `quantity`.
    theory, theory_band, seeds_band: (L,), (2, L) and (2, L), what is drawn beside step 0, or null.
    way: the layers along which the class was read in a network that branches, and the last one: their positions in `layers`,
        or null.
    verdict: the parts that the page shows, or null.
    verdict_refused: why a recorded verdict is not shown, or null.

    Raises:
        RecordError: the archive is damaged, too large, or holds something else.
        OSError: the file cannot be read.
    """
    with explained():
        return json.dumps({"version": version, "quantity": quantity, **_content(archive, quantity, most)}).encode()


def _content(archive: Archive, quantity: str, most: int) -> dict[str, Any]:
    layers, steps = _layers(archive), _steps(archive)
    shape = (len(steps), len(layers))
    rows = np.arange(len(steps))
    values = None
    if quantity in archive.names and quantity not in GRADIENTS:
        measured = archive.measured(quantity, shape)
        rows = rows[measured] if measured.any() else rows
    kept = rows[sample(len(rows), min(most, max(2, CELLS // len(layers))))]
    if quantity in archive.names:
        values = _encoded(archive.rows(quantity, shape, kept))
    verdict, refused = _verdict(archive)
    return {
        "layers": layers,
        "steps": steps[kept].tolist(),
        "recorded": len(rows),
        "quantities": [name for name in _quantities(archive) if _fits(archive, name, shape)],
        "values": values,
        "theory": _line(archive, f"theory_{quantity}", shape[1:]),
        "theory_band": _line(archive, f"theory_{quantity}_band", (2, *shape[1:])),
        "seeds_band": _line(archive, f"seeds_{quantity}_band", (2, *shape[1:])),
        "way": _way(archive),
        "verdict": verdict,
        "verdict_refused": refused,
    }


def _layers(archive: Archive) -> list[str]:
    """The names of the layers, (L,)."""
    if archive.header("layer").shape == archive.header("step").shape == (0,):
        raise RecordError(f"has nothing to show: {_unmeasured(archive)}.")
    names = archive.array("layer", "U", NAME_BYTES)
    if names.ndim != 1 or not 0 < len(names) <= LAYERS:
        raise RecordError(f"is damaged: `layer` must be 1 to {LAYERS:,} names.")
    return [shortened(name, min(NAME, NAMES // len(names))) for name in names.tolist()]


def _unmeasured(archive: Archive) -> str:
    """Why a record without layers has none, as far as its verdict says it."""
    try:
        content = json.loads(str(archive.array("verdict", "U", VERDICT_BYTES)[()]))
        return _text(content["unmeasured"], TEXT) or "no step was measured"
    except Exception:  # without a verdict, or with one that we cannot read
        return "no step was measured"


def _steps(archive: Archive) -> npt.NDArray[np.int64]:
    """The recorded steps, (S,)."""
    shape = archive.header("step").shape
    if shape and shape[0] > RECORDED:
        raise RecordError(f"has {shape[0]:,} steps; at most {RECORDED:,} are read.")
    steps = archive.array("step", "iu", 8 * RECORDED).astype(np.int64)
    # JavaScript's numbers tell whole ones apart up to 2^53.
    if steps.ndim != 1 or (np.diff(steps) <= 0).any() or (len(steps) and (steps[0] < 0 or steps[-1] > 2**53)):
        raise RecordError("is damaged: `step` must be increasing integers from 0 to 2^53.")
    return steps


def _line(archive: Archive, name: str, shape: tuple[int, ...]) -> list[Any] | None:
    """An array that is drawn beside the measured quantity; None if the record does not have it."""
    if name not in archive.names:
        return None
    archive.numbers(name, shape)
    return _encoded(archive.array(name, "fiub", 32 * LAYERS).astype(np.float64))


def sample(count: int, limit: int) -> npt.NDArray[np.int64]:
    """At most `limit` evenly spread indices below `count`, always with the first and the last; `limit` is at least 2."""
    return np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(np.int64))


def _quantities(archive: Archive) -> list[str]:
    named = [name for name in archive.names if name not in ("layer", "step", "verdict") and len(name) <= NAME]
    return [name for name in named if not name.startswith(("theory_", "seeds_", IN_TIME))]


def _fits(archive: Archive, name: str, shape: tuple[int, ...]) -> bool:
    """Whether an array can be shown, judged by its header alone."""
    try:
        archive.numbers(name, shape)
    except Exception:  # one damaged array must not hide the others
        return False
    return True


def _encoded(array: npt.NDArray[np.float64]) -> list[Any]:
    """The array as nested lists. JSON has neither NaN nor infinities: they become None, "inf" and "-inf"."""
    values = array.astype(object)
    values[np.isnan(array)] = None
    values[np.isposinf(array)] = "inf"
    values[np.isneginf(array)] = "-inf"
    encoded: list[Any] = values.tolist()
    return encoded


def _verdict(archive: Archive) -> tuple[dict[str, Any] | None, str | None]:
    """The parts of the verdict that the page shows, if there is one; or why it is not shown."""
    if "verdict" not in archive.names:
        return None, None
    try:
        content = json.loads(str(archive.array("verdict", "U", VERDICT_BYTES)[()]))
        findings = [finding for finding in content.get("findings") or [] if isinstance(finding, dict)][:3]
        return {
            **_judgement(content),
            "end": _judgement(content["end"]) if isinstance(content.get("end"), dict) else None,
            "findings": [_finding(finding) for finding in findings],
            "deviation": _text((content.get("deviation") or {}).get("sentence"), TEXT),
        }, None
    except RecordError as error:
        return None, shortened(f"The verdict {error}".replace("`verdict`", "it"), TEXT)
    except Exception:  # a verdict we cannot read is no reason to hide the matrix
        return None, "The verdict is damaged."


def _way(archive: Archive) -> list[int] | None:
    """The positions of the way's places and of the last layer; None if there are no others, or the verdict tells no way."""
    try:
        names = archive.array("layer", "U", NAME_BYTES).tolist()
        position = {name: index for index, name in enumerate(names)}
        found = [position[name] for name in json.loads(str(archive.array("verdict", "U", VERDICT_BYTES)[()]))["way"]]
    except Exception:  # a verdict of an older version, none, or one that we cannot read
        return None
    chosen = sorted({*found, len(names) - 1})
    return chosen if len(chosen) < len(names) else None


def _finding(finding: dict[str, Any]) -> dict[str, str | None]:
    return {key: _text(finding.get(key), NAME) for key in ("kind", "cause", "layer")} | {
        key: _text(finding.get(key), TEXT) for key in ("message", "remedy")
    }


def _judgement(content: dict[str, Any]) -> dict[str, Any]:
    return {
        "class": _text(content.get("class"), NAME),
        "ratio": _number(content.get("ratio")),
        "rate_per_layer": _number(content.get("rate_per_layer")),
        "undecided": _text(content.get("undecided"), TEXT),
    }


def _text(value: Any, most: int) -> str | None:
    return shortened(value, most) if isinstance(value, str) else None


def _number(value: Any) -> float | str | None:
    """A number as `_encoded` encodes it, or None. It may be stored as text, because JSON has no infinity."""
    try:
        number: float | str | None = _encoded(np.array([float(value)]))[0]
    except (TypeError, ValueError, OverflowError):
        return None
    return number
