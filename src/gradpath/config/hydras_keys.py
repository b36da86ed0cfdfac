"""Keys of Hydra's own part that do not exist, each with the nearest that does."""

from collections.abc import Iterable

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from gradpath.config.grammar import line
from gradpath.errors import ConfigError, nearest

# So many keys are listed.
LISTED = 20


def check_hydras_keys(loader: ConfigLoader, overrides: Iterable[Override]) -> None:
    """Raises ConfigError for the first key such as `hydra.launcher.job` that the chosen options do not have.

    It takes a composition, so that it is called only if one has failed. What is wrong otherwise is left to the caller.
    """
    keyed = [one for one in overrides if one.key_or_group.startswith("hydra.") and not line(one).startswith("+")]
    others = [line(one) for one in overrides if one not in keyed]
    if not keyed:
        return
    try:
        node = loader.load_configuration("config", others, run_mode=RunMode.RUN)
    except (HydraException, OmegaConfBaseException):
        return
    for one in keyed:
        _check(one, node)


def _check(override: Override, node: DictConfig) -> None:
    above, part = "hydra", node.hydra
    for name in override.key_or_group.split(".")[1:]:
        if not isinstance(part, DictConfig):
            return
        if name not in part:
            known = [f"{above}.{key}" for key in map(str, part) if key != "_target_"]
            option = node.hydra.runtime.choices.get(above.replace(".", "/"))
            where = f"{above.replace('.', '/')}={option}" if option else above
            listed = f" Its keys: {', '.join(known) or 'none'}." if len(known) <= LISTED else ""
            near = nearest(f"{above}.{name}", known)
            raise ConfigError(f"{line(override)}: {where} has no such key.{near}{listed}")
        above, part = f"{above}.{name}", part._get_node(name)
