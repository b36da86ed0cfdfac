"""Damaged records beside a good one, asked for over HTTP from a real TensorBoard: each is refused in a sentence."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from board import decoded, get, names, record, refusal, serving
from synthetic import VANISHING, content, write

GOOD = content(count=4, steps=6, every=7)


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def without(name: str) -> bytes:
    return npz(**{key: array for key, array in GOOD.items() if key != name})


def claiming(shape: tuple[int, ...]) -> bytes:
    """A record whose header promises more than the file holds."""
    file = io.BytesIO(without("delta"))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("delta.npy", header.getvalue() + bytes(8))
    return file.getvalue()


def flipped() -> bytes:
    """A record in which one byte of `delta` is not what was written: the archive's checksum tells."""
    whole = bytearray(npz(**GOOD))
    whole[whole.index(GOOD["delta"].tobytes())] ^= 255
    return bytes(whole)


DAMAGED = {
    "empty": (b"", "zip file"),
    "truncated": (npz(**GOOD)[:900], "zip file"),
    "random": (np.random.default_rng(0).bytes(4000), "zip file"),
    "flipped": (flipped(), "CRC"),
    "one_array": (GOOD["delta"].tobytes(), "zip file"),
    "pickled": (npz(**GOOD | {"delta": np.array([[{}] * 4] * 6)}), "`delta`"),
    "pickled_layers": (npz(**GOOD | {"layer": np.array([{}] * 4)}), "`layer` is object"),
    "transposed": (
        npz(**GOOD | {"delta": GOOD["delta"].T}),
        "`delta` is float64 of shape (4, 6), not numbers of shape (6, 4)",
    ),
    "texts": (npz(**GOOD | {"delta": np.full((6, 4), "a")}), "`delta`"),
    "short_theory": (npz(**GOOD | {"theory_delta": np.zeros(3)}), "`theory_delta`"),
    "flat_band": (npz(**GOOD | {"seeds_delta_band": np.zeros(4)}), "`seeds_delta_band`"),
    "no_layer": (without("layer"), "holds no `layer`"),
    "no_step": (without("step"), "holds no `step`"),
    "no_layers": (npz(**GOOD | {"layer": np.array([], dtype="U1")}), "`layer`"),
    "numbered_layers": (npz(**GOOD | {"layer": np.arange(4)}), "`layer`"),
    "backwards": (npz(**GOOD | {"step": GOOD["step"][::-1]}), "`step`"),
    "claiming": (claiming((10**6, 10**6)), "claims to be float64 of shape (1000000, 1000000)"),
    "one_float_step": (npz(**GOOD | {"step": np.float64(1)}), "`step`"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    logs = tmp_path_factory.mktemp("logs")
    write(logs / "good", GOOD, VANISHING)
    for name, (damaged, _) in DAMAGED.items():
        (logs / "damaged" / name).mkdir(parents=True)
        (logs / "damaged" / name / "flow.npz").write_bytes(damaged)
    with serving("--logdir", logs) as url:
        yield url


def test_damaged_records_are_listed(server: str) -> None:
    assert set(names(server)) == {"good"} | {f"damaged/{name}" for name in DAMAGED}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_record_is_refused_in_a_sentence(server: str, name: str) -> None:
    status, sentence = refusal(f"{server}/data/plugin/gradient_flow/record?run=damaged/{name}")
    assert status == 422
    assert sentence.startswith("is damaged: ")
    assert DAMAGED[name][1] in sentence
    assert record(server, "good")["values"] is not None
    assert get(f"{server}/data/plugin/scalars/tags") == {}


def test_one_bad_matrix_leaves_the_others(server: str) -> None:
    for name in ("pickled", "transposed", "flipped", "claiming"):
        answer = record(server, f"damaged/{name}", "weight_norm")
        assert np.array_equal(decoded(answer["values"]), GOOD["weight_norm"])
        assert "weight_norm" in answer["quantities"]
