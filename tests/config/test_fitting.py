"""What is known of our own data sets before they are read is what they say of themselves when they are."""

import pytest
from omegaconf import OmegaConf

from gradpath.config.composition import CONF, compose
from gradpath.config.fitting import TASKS
from gradpath.run.build import build_data

OPTIONS = sorted(path.stem for path in (CONF / "data").glob("*.yaml"))
# The other images have to be downloaded.
HERE = [name for name in OPTIONS if OmegaConf.load(CONF / f"data/{name}.yaml")._target_ != "gradpath.data.images.images"]


def test_every_data_set_is_known() -> None:
    targets = {OmegaConf.load(CONF / f"data/{name}.yaml")._target_ for name in OPTIONS}
    assert targets == set(TASKS)


@pytest.mark.parametrize("name", [*HERE, "mnist"])
def test_its_task_is_the_one_that_is_known(name: str) -> None:
    config, _ = compose(f"data={name}", *["data.limit=64"] * (name == "mnist"))
    assert build_data(config["data"], 0).task == TASKS[config["data"]["_target_"]]
