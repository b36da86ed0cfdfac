"""The configuration is composed once and equals what Hydra itself composes."""

import random
from typing import Any

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from omegaconf import OmegaConf

from gradpath.config.composition import CONF, config_loader
from gradpath.config.grammar import parse
from gradpath.config.overrides import Composition, check_job
from gradpath.config.schema import GROUPS, Root
from gradpath.config.typed import check_typed

ROOT = list(Root.__annotations__)
KEYS = (
    "seed=3", "optimizer.lr=0.5", "trainer.max_epochs=2", "data.limit=null", "data.batch_size=64", "trainer.devices=2",
    "trainer.gradient_clip_val=1.5", "init.sigma_b2=0.1", "fail_on_divergence=true", "probe.every=7", "resume=null",
)  # fmt: skip


def drawn(random_: random.Random) -> list[str]:
    """Draws options of a few groups, and some keys that exist with all of these options."""
    groups = random_.sample([group for group in GROUPS if group not in ("loss", "norm", "data", "init", "trainer")], 3)
    options = [f"{group}={random_.choice(sorted((CONF / group).glob('*.yaml'))).stem}" for group in groups]
    keys = [key for key in random_.sample(KEYS, 4) if not (key.startswith("probe") and "probe=none" in options)]
    typed = [*options, *keys]
    random_.shuffle(typed)
    return typed


@pytest.mark.parametrize("seed", range(12))
def test_it_is_what_hydra_composes(seed: int) -> None:
    typed = drawn(random.Random(seed))
    with config_loader():
        pass  # registers the resolvers of conf/
    with initialize_config_dir(str(CONF), version_base="1.3"):
        whole = hydra_compose("config", typed, return_hydra_config=True)
        expected = OmegaConf.to_container(whole.hydra, resolve=False)
    with config_loader() as loader:
        found = check_job(loader, parse(typed))
    assert found.config == OmegaConf.to_container(OmegaConf.masked_copy(whole, [*GROUPS, *ROOT]), resolve=True), typed
    ours = OmegaConf.to_container(found.node.hydra, resolve=False)
    # What Hydra derives from what was typed: lists, the folder's name, the choices.
    for part in ("overrides", "run", "mode", "output_subdir", "callbacks"):
        assert ours[part] == expected[part], part
    for key in ("override_dirname", "env_set", "chdir", "config"):
        assert ours["job"][key] == expected["job"][key], key
    assert ours["runtime"]["choices"] == expected["runtime"]["choices"]


@pytest.mark.parametrize(
    ("typed", "times"),
    [((), 1), (("activation=gelu", "optimizer.lr=0.1", "model.hidden=[3]"), 1), (("experiment=xor", "seed=2"), 2)],
    ids=["default", "typed", "experiment"],
)
def test_it_is_composed_once_per_start(typed: tuple[str, ...], times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only an experiment needs a second composition, to find the keys that its options have without it."""
    with config_loader() as loader:
        calls: list[Any] = []
        compose_ = loader.load_configuration
        monkeypatch.setattr(
            loader, "load_configuration", lambda *given, **named: calls.append(given) or compose_(*given, **named)
        )
        assert isinstance(loader, ConfigLoader)
        job = check_typed(parse(typed), loader, multirun=False)
    assert isinstance(job, Composition)
    assert list(job.node.hydra.overrides.task) == list(typed)
    assert len(calls) == times
