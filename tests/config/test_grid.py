"""A grid: each of its jobs has the configuration that Hydra composes for it alone."""

import random
import re
from collections.abc import Callable
from functools import partial
from itertools import product

import pytest
from hydra.core.config_loader import ConfigLoader

from gradpath.config.checks import check
from gradpath.config.composition import config_loader
from gradpath.config.grammar import parse
from gradpath.config.grid import Grid, Place, grid
from gradpath.config.grid_composition import GridComposition
from gradpath.config.overrides import check_job
from gradpath.config.run_names import job_name
from gradpath.errors import ConfigError

# Axes whose values fit together, options and keys mixed; keys that others are computed from; keys of one option only.
AXES = {
    "activation": ["relu", "gelu", "leaky_relu", "tanh"],
    "init": ["he_normal", "critical", "constant"],
    "norm": ["none", "batch_before", "layer_after"],
    "optimizer": ["adam", "sgd", "momentum", "muon"],
    "optimizer.lr": ["0.1", "1e-3", "0.01"],
    "model": ["mlp", "deep"],
    "data": ["xor", "sine", "gaussian", "mnist"],
    "data.epochs": ["1", "2", "30"],
    "data.batch_size": ["4", "8"],
    "schedule": ["cosine", "step", "constant"],
    "probe": ["light", "full"],
    "probe.every": ["3", "auto"],
    "trainer": ["auto", "cpu", "debug"],
    "trainer.max_epochs": ["3", "7"],
    "trainer.gradient_clip_val": ["null", "1.0"],
    "seed": ["0", "1", "2"],
    "experiment": ["xor", "vanishing_sigmoid", "exploding_tanh"],
}
DEEP = {"model.depth": ["2", "5"], "model.width": ["8", "16", "3"]}


def drawn(dice: random.Random) -> list[str]:
    keys = dice.sample(sorted(AXES), dice.randint(1, 5))
    texts = [f"{key}={','.join(dice.sample(AXES[key], dice.randint(1, len(AXES[key]))))}" for key in keys]
    if "model" not in keys and "experiment" not in keys and dice.random() < 0.5:
        texts += ["model=deep", *(f"{key}={','.join(dice.sample(values, 2))}" for key, values in DEEP.items())]
    return texts


@pytest.mark.parametrize("seed", range(4))
def test_each_job_is_what_hydra_composes(seed: int) -> None:
    dice = random.Random(seed)
    compared = 0
    with config_loader() as loader:
        while compared < 9:
            typed = drawn(dice)
            jobs = grid(parse(typed, loader))
            places = [*jobs.places()]
            try:
                composed = GridComposition(jobs, loader)
            except ConfigError:
                # The first job alone is wrong, as an experiment that brings a key of another option.
                continue
            for place in dice.sample(places, min(3, len(places))):
                compared += 1
                found = told(partial(composed, place))
                if isinstance(found, str):
                    # A mistake that is found is one that Hydra finds too, in this job or in one beside it.
                    assert found in [alone(jobs, other, loader) for other in places]
                else:
                    assert found == alone(jobs, place, loader), jobs.overrides(place)


def alone(jobs: Grid, place: Place, loader: ConfigLoader) -> object:
    """The configuration and the choices that Hydra composes for one job, or its first mistake."""

    def job() -> object:
        found = check_job(loader, parse(jobs.overrides(place), loader))
        return found.config, found.choices

    return told(job)


def told(job: Callable[[], object]) -> object:
    """What a call returns, or the mistake that it finds."""
    try:
        return job()
    except ConfigError as error:
        return str(error)


def test_a_mistake_of_two_values_together_is_found() -> None:
    """Neither BatchNorm nor a batch of one sample is wrong alone."""
    with config_loader() as loader:
        jobs = grid(parse(["norm=none,batch_before", "data.batch_size=64,1"], loader))
        composed = GridComposition(jobs, loader)
        for place in [(0, 0), (0, 1), (1, 0)]:
            check(composed(place)[0])
        with pytest.raises(ConfigError, match="BatchNorm needs at least 2 samples"):
            composed((1, 1))


def test_options_that_change_the_same_key_are_composed_together(tmp_path) -> None:
    """A user's option may change another group: together with an option of that group, Hydra decides."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model/normed.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /norm: batch_before\nmodel: {hidden: [8, 8], output: none}\n"
    )
    with config_loader(str(tmp_path)) as loader:
        jobs = grid(parse(["model=mlp,normed", "norm=none,layer_after"], loader))
        composed = GridComposition(jobs, loader)
        for place in jobs.places():
            assert composed(place) == alone(jobs, place, loader)


def test_the_last_axis_changes_fastest() -> None:
    jobs = grid(parse(["seed=0,1", "data=xor", "activation=relu,tanh,gelu"]))
    expected = [[f"seed={s}", "data=xor", f"activation={a}"] for s, a in product("01", ["relu", "tanh", "gelu"])]
    assert [jobs.overrides(place) for place in jobs.places()] == expected
    assert [jobs.overrides(jobs.place(k)) for k in range(len(jobs))] == expected


def test_zipped_keys_change_together() -> None:
    jobs = grid(
        parse(["model.depth=5,10,20", "seed=range(2)", "optimizer.lr=0.1,0.01,0.001"]), ["model.depth", "optimizer.lr"]
    )
    assert len(jobs) == 6
    assert [jobs.overrides(place) for place in jobs.places()] == [
        [f"model.depth={depth}", f"seed={seed}", f"optimizer.lr={lr}"]
        for depth, lr in [("5", "0.1"), ("10", "0.01"), ("20", "0.001")]
        for seed in (0, 1)
    ]


@pytest.mark.parametrize(
    ("zipped", "message"),
    [
        (["seed", "model.dept"], "model.dept is given no values in this sweep; write several. Did you mean model.depth?"),
        (["seed", "model.depth"], "as many values each; seed has 2, model.depth has 3."),
        (["data"], "data has a single value in this sweep; write several."),
    ],
)
def test_what_cannot_be_zipped(zipped: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        grid(parse(["seed=0,1", "model.depth=1,2,3", "data=xor"]), zipped)


def test_names_are_safe_short_and_in_order() -> None:
    dice = random.Random(1)
    values = ["[64,64]", "a/b", "../x", "é", "1e-3", "'q x'", "${seed}", "x" * 80]
    for number in range(200):
        varied = [f"{key}={dice.choice(values)}" for key in ("activation", "model.hidden", "seed")]
        name = job_name(number, 3, varied)
        assert len(name) <= 30
        assert re.fullmatch(rf"{number:03}[\w.-]*", name)
    assert job_name(7, 2, ["seed=3", "activation=gelu", "optimizer.lr=0.1"]) == "07-gelu-lr0.1-s3"


def test_a_long_name_keeps_what_tells_it_apart() -> None:
    """Every part is still there, and no number has lost a digit."""
    names = [
        job_name(
            7, 2,
            ["activation=leaky_relu", f"init={init}", f"norm=batch_{place}", f"optimizer.weight_decay={decay}", "seed=12"],
        )
        for init in ("xavier_normal", "xavier_uniform") for place in ("before", "after") for decay in ("0.0001", "0.00001")
    ]  # fmt: skip
    assert len(set(names)) == 8
    assert {len(name) for name in names} == {30}
    assert [name.endswith(end) for name in names for end in ("0.0001-s12", "0.00001-s12")] == [True, False, False, True] * 4
    assert job_name(7, 2, ["data.path=" + "x" * 300]) == "07-path" + 23 * "x"


def test_a_thousand_jobs_need_few_compositions(monkeypatch: pytest.MonkeyPatch) -> None:
    with config_loader() as loader:
        calls: list[object] = []
        compose = loader.load_configuration
        monkeypatch.setattr(
            loader, "load_configuration", lambda *given, **named: calls.append(given) or compose(*given, **named)
        )
        jobs: Grid = grid(parse(["activation=relu,tanh,gelu", "init=he_normal,critical", "seed=range(200)"], loader))
        composed = GridComposition(jobs, loader)
        assert sum(1 for place in jobs.places() if composed(place)) == 1200
    # The first job, two other activations, one other initialisation.
    assert len(calls) == 4
