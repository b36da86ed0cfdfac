"""Where a run keeps its checkpoints, and how one is read back (with `weights_only`)."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradpath.errors import ConfigError
from gradpath.model.network import MLP, layer_name

BEST, LAST = Path("checkpoints/best.ckpt"), Path("checkpoints/last.ckpt")


def load_checkpoint(path: Path, network: MLP) -> dict[str, Any]:
    """Reads a checkpoint and checks that it fits `network`.

    Raises:
        ConfigError: the file is missing or damaged, or its network differs from `network`. The message names the first
            layer that differs.
    """
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        saved = network_state(checkpoint)
    # A damaged file can raise a dozen types of exception, from zipfile's to pickle's.
    except Exception as error:
        raise ConfigError(f"{path}: not a readable checkpoint ({type(error).__name__}).") from None
    expected = network.state_dict()
    for name in [*expected, *saved]:
        old, new = saved.get(name), expected.get(name)
        if old is None or new is None or old.shape != new.shape:
            raise ConfigError(
                f"{path}: another architecture, from {_layer_of(name, len(network.blocks))} on: {name} is {_shape(old)} "
                f"in the checkpoint and {_shape(new)} in this network."
            )
    return checkpoint


def network_state(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """The network's part of a checkpoint's state_dict."""
    prefix = "network."
    return {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}


def _layer_of(parameter: str, blocks: int) -> str:
    """`blocks.1.linear.weight` -> `hidden_02`."""
    return layer_name(int(parameter.split(".")[1]), blocks)


def _shape(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else " x ".join(map(str, tensor.shape))
