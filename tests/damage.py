"""Ways to damage the folder of a run: its weights, counts and states, its record, and its other files."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

LAST = "checkpoints/last.ckpt"
WEIGHT = "network.blocks.0.linear.weight"
Damage = Callable[[Path], object]


def checkpoint(change: Callable[[dict[str, Any]], Any]) -> Damage:
    """`change` alters what the checkpoint holds, or returns what stands there instead of it."""

    def damage(folder: Path) -> None:
        content = torch.load(folder / LAST, weights_only=True)
        instead = change(content)
        torch.save(content if instead is None else instead, folder / LAST)

    return damage


def put(*path: Any) -> Damage:
    """`put("epoch", None)`: the last word is the new value, the ones before it are keys."""
    *keys, last, value = path

    def change(content: Any) -> None:
        for key in keys:
            content = content[key]
        content[last] = value(content[last]) if callable(value) else value

    return checkpoint(change)


def gone(*path: Any) -> Damage:
    *keys, last = path

    def change(content: Any) -> None:
        for key in keys:
            content = content[key]
        del content[last]

    return checkpoint(change)


def record(**arrays: Any) -> Damage:
    """Replaces arrays of the record. A function is given the array that it replaces."""

    def damage(folder: Path) -> None:
        with np.load(folder / "flow.npz") as archive:
            content = dict(archive)
        content |= {name: new(content[name]) if callable(new) else new for name, new in arrays.items()}
        np.savez(folder / "flow.npz", **{name: part for name, part in content.items() if part is not None})

    return damage


def written(name: str, text: str | Callable[[str], str]) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / name
        path.write_text(text if isinstance(text, str) else text(path.read_text()))

    return damage


def divergence(**keys: Any) -> Damage:
    return written("divergence.json", json.dumps({"step": 1, "layer": "output", "quantity": "delta"} | keys))


def pipe(name: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return damage


def link_to_nothing(name: str) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        path.symlink_to("nowhere")

    return damage


def checkpoints_is_a_file(folder: Path) -> None:
    shutil.rmtree(folder / "checkpoints")
    (folder / "checkpoints").write_text("x")


def scratch(steps: int) -> torch.Tensor:
    return torch.zeros(steps)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)
WEIGHTS: dict[str, Damage] = {
    "an int": put("state_dict", WEIGHT, 5),
    "a list": put("state_dict", WEIGHT, [1, 2]),
    "complex": put("state_dict", WEIGHT, lambda old: old.to(torch.complex64)),
    "whole numbers": put("state_dict", WEIGHT, lambda old: old.to(torch.int64)),
    "sparse": put("state_dict", WEIGHT, lambda old: old.to_sparse()),
    "on no device": put("state_dict", WEIGHT, lambda old: old.to("meta")),
    "another shape": put("state_dict", WEIGHT, lambda old: old.T.contiguous()),
    "a counter of real numbers": put(
        "state_dict", "network.blocks.0.norm_before.num_batches_tracked", lambda old: old.float()
    ),
    "one missing": gone("state_dict", WEIGHT),
    "network.foo": checkpoint(lambda c: c["state_dict"].update({"network.foo": scratch(1)})),
    "network.a.b": checkpoint(lambda c: c["state_dict"].update({"network.a.b": scratch(1)})),
    "another key": checkpoint(lambda c: c["state_dict"].update(foo=scratch(1))),
    "a number as key": checkpoint(lambda c: c["state_dict"].update({5: scratch(1)})),
    "no state_dict": gone("state_dict"),
    "state_dict a list": put("state_dict", [1]),
    "a bare tensor": checkpoint(lambda c: scratch(2)),
    "a bare list": checkpoint(lambda c: [1]),
    "a pipe": pipe(LAST),
    "a link to nothing": link_to_nothing(LAST),
}
COUNTS = {f"{name} {value}": put(name, value) for name in ("epoch", "global_step")
          for value in (None, "abc", -1, float("nan"), 1.0, True, 10**30, [1], 1)}  # fmt: skip
del COUNTS["epoch 1"]
ADAM = ("optimizer_states", 0)
FIT = ("loops", "fit_loop")
STATES: dict[str, Damage] = {
    **{f"no {key}": gone(key) for key in ("epoch", "global_step", "optimizer_states", "lr_schedulers", "loops", "callbacks",
                                          "pytorch-lightning_version", "rng_state", "cuda_rng_state")},
    **{f"{key} empty": put(key, []) for key in ("optimizer_states", "lr_schedulers")},
    **{f"{key} twice": put(key, lambda old: old * 2) for key in ("optimizer_states", "lr_schedulers")},
    **{f"{key} of text": put(key, ["x"]) for key in ("optimizer_states", "lr_schedulers")},
    "no groups": put(*ADAM, "param_groups", []),
    "too few parameters": put(*ADAM, "param_groups", 0, "params", [0]),
    "no rate": gone(*ADAM, "param_groups", 0, "lr"),
    "a rate of text": put(*ADAM, "param_groups", 0, "lr", "x"),
    "one beta": put(*ADAM, "param_groups", 0, "betas", (0.9,)),
    "no state": put(*ADAM, "state", {}),
    "a moment missing": gone(*ADAM, "state", 0, "exp_avg"),
    "a moment of another shape": put(*ADAM, "state", 0, "exp_avg", scratch(3)),
    "a moment of text": put(*ADAM, "state", 0, "exp_avg", "x"),
    "an odd schedule": put("lr_schedulers", [{"foo": 1}]),
    "a schedule's method": put("lr_schedulers", 0, "step", 5),
    "a schedule's step of text": put("lr_schedulers", 0, "last_epoch", "x"),
    "a schedule's step below 0": put("lr_schedulers", 0, "last_epoch", -7),
    "a schedule's huge step": put("lr_schedulers", 0, "last_epoch", 10**30),
    "a list of loops": put("loops", [1]),
    "an odd loop": put("loops", {"fit_loop": 5}),
    "an odd count": put(*FIT, "epoch_progress", "current", "completed", "x"),
    "another count": put(*FIT, "epoch_progress", "current", "completed", 0),
    "a loop's method": checkpoint(lambda c: c["loops"]["fit_loop"]["epoch_progress"]["current"].update(reset=5)),
    "odd callbacks": put("callbacks", {"EpochCheckpoints": 5, "FlowCallback": 5}),
    "a list of callbacks": put("callbacks", [1]),
    "no callback": put("callbacks", {}),
    "no best": put("callbacks", "EpochCheckpoints", {}),
    "best NaN": put("callbacks", "EpochCheckpoints", "best", float("nan")),
    "odd silence": put("callbacks", "FlowCallback", {"x": 5}),
    "silence of other units": put("callbacks", "FlowCallback", "0", (torch.zeros(7, dtype=torch.int64), 1)),
    "version junk": put("pytorch-lightning_version", "x;y"),
    "version a number": put("pytorch-lightning_version", 2),
    "rng of another length": put("rng_state", torch.zeros(3, dtype=torch.uint8)),
    "rng of text": put("rng_state", "x"),
}  # fmt: skip
STATES["a schedule without a step"] = gone("lr_schedulers", 0, "last_epoch")
RECORDS: dict[str, Damage] = {
    "steps NaN": record(step=lambda old: np.full(len(old), np.nan)),
    "steps of text": record(step=lambda old: np.array(list("abcdef"))),
    "steps real": record(step=lambda old: old + 0.5),
    "steps backwards": record(step=lambda old: old[::-1]),
    "steps twice": record(step=lambda old: np.zeros_like(old)),
    "steps below 0": record(step=lambda old: old - 1),
    "steps 2-D": record(step=lambda old: np.stack([old, old], 1)),
    "one step": record(step=np.array(3)),
    "delta 1-D": record(delta=lambda old: old[:, 0]),
    "delta 3-D": record(delta=lambda old: old[:, :, None]),
    "delta of text": record(delta=lambda old: np.full(old.shape, "a")),
    "delta complex": record(delta=lambda old: old + 1j),
    "no delta": record(delta=None),
    "weight_norm of text": record(weight_norm=lambda old: np.full(old.shape, "a")),
    "weight_norm short": record(weight_norm=lambda old: old[:1]),
    "theory of text": record(theory_delta=np.array(["a", "b"])),
    "a band 1-D": record(theory_delta_band=lambda old: old[0]),
    "other layers": record(layer=np.array(["a", "b"])),
    "one layer": record(layer=np.array("hidden_01")),
    "verdict a number": record(verdict=np.array(5)),
    "verdict no JSON": record(verdict=np.array("x")),
    "an object": record(delta=np.array([{}], dtype=object)),
    "a pipe": pipe("flow.npz"),
}
OTHERS: dict[str, Damage] = {
    "metrics empty": written("metrics.csv", ""),
    "metrics without a header": written("metrics.csv", lambda old: old.partition("\n")[2]),
    "metrics without a step": written("metrics.csv", "epoch,train/loss\n1,2\n"),
    **{f"metrics' step {step}": written("metrics.csv", lambda old, step=step: old + f"{step},1{',' * 9}\n")
       for step in ("inf", "nan", "abc", "0", "-1", "7.5")},
    "metrics' epoch NaN": written("metrics.csv", lambda old: old + f"7,nan{',' * 9}\n"),
    **{f"divergence at {step}": divergence(step=step) for step in ("x", None, -1, True, 1.5)},
    "divergence in layer 5": divergence(layer=5),
    "divergence with more": divergence(more=5),
    "divergence a list": written("divergence.json", "[1]"),
    "checkpoints a file": checkpoints_is_a_file,
    "checkpoints a link": link_to_nothing("checkpoints"),
    "no checkpoints": lambda folder: shutil.rmtree(folder / "checkpoints"),
    "overrides a bomb": written("overrides.yaml", BOMB),
    "overrides within itself": written("overrides.yaml", "&a [*a]\n"),
    "overrides too long": written("overrides.yaml", lambda old: old + "- seed=0\n" * 200_000),
    "overrides too deep": written("overrides.yaml", "[" * 100_000),
    "overrides with a tag": written("overrides.yaml", "!!python/object/apply:os.getcwd []\n"),
    "config a bomb": written("config.yaml", lambda old: old + BOMB),
    "config with an anchor": written("config.yaml", lambda old: old.replace("seed: 0", "seed: &a 0")),
    "config too long": written("config.yaml", lambda old: old + "# nothing\n" * 200_000),
    "config with a key twice": written("config.yaml", lambda old: old + "seed: 0\n"),
    "config a pipe": pipe("config.yaml"),
    "overrides a pipe": pipe("overrides.yaml"),
    "result a pipe": pipe("result.json"),
}  # fmt: skip
ALL = {
    f"{kind}: {name}": damage
    for kind, cases in {"weights": WEIGHTS, "counts": COUNTS, "states": STATES, "record": RECORDS, "": OTHERS}.items()
    for name, damage in cases.items()
}
