"""Names the folders of runs."""

from omegaconf import DictConfig

from gradpath.config.grammar import parse, values


def run_name(config: DictConfig, defaults: dict[str, str]) -> str:
    """Names a run by what was typed and differs from the default, and by its seed: `gelu-he_uniform-lr0.01-s0`.

    Args:
        config: the composed configuration with Hydra's part.
        defaults: the default option of every group.
    """
    # In a sweep the default is one value among others; its name is needed to tell the runs apart.
    sweep = "MULTIRUN" in str(config.hydra.mode)
    parts = []
    for override in parse(config.hydra.overrides.task):
        key, value = override.key_or_group, values(override)[0]
        if key in defaults:
            if sweep or value != defaults[key]:
                parts.append(value)
        elif key not in ("seed", "resume"):
            parts.append(key.rsplit(".", 1)[-1] + value)
    name = "-".join([*(parts or ["default"]), f"s{config.seed}"])
    # In a folder's name, the commas of a list become x; other punctuation is removed.
    return "".join(c for c in name.replace(",", "x") if c.isalnum() or c in "-_.")[:120]
