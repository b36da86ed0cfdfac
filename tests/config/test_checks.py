"""The schema knows every key of every file, and each limit is enforced."""

import copy
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gradpath.config.checks import check, check_resumed, leaves, risks
from gradpath.config.composition import CONF, compose
from gradpath.config.schema import GROUPS, Limits
from gradpath.errors import ConfigError, nearest

FILES = sorted(path.relative_to(CONF) for path in CONF.glob("*/*.yaml"))
OPTIONS = [(path.parent.name, path.stem) for path in FILES if path.parent.name in GROUPS]


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_file_is_checked_key_by_key(group: str, option: str) -> None:
    # Not every loss fits every data set.
    data = {"bce_with_logits": "xor", "huber": "sine", "l1": "sine"}.get(option, "mnist")
    config, choices = compose(*([f"{group}={option}"] if group == "data" else [f"data={data}", f"{group}={option}"]))
    assert choices[group] == option
    known = set(GROUPS[group].__annotations__)
    nested = {"layer._target_", "layer.eps", "layer.momentum"}
    for key, _ in leaves(config[group]):
        assert key in known | nested | {"_target_"}, f"{group}.{key} has no entry in the schema"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_every_file_says_when_to_use_it(path: Path) -> None:
    lines = (CONF / path).read_text().splitlines()
    comment = lines[1] if lines[0].startswith("# @package") else lines[0]
    assert comment.startswith("# ")
    assert len(comment) > 20


@pytest.mark.parametrize("experiment", [path.stem for path in FILES if path.parent.name == "experiment"])
def test_every_experiment_composes(experiment: str) -> None:
    _, choices = compose(f"experiment={experiment}")
    assert choices["experiment"] == experiment


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("optimizer.lr", 0, "optimizer.lr=0: must be greater than 0"),
        ("optimizer.lr", float("nan"), "optimizer.lr=nan: must be greater than 0"),
        ("optimizer.lr", True, "optimizer.lr=true: must be a number"),
        ("optimizer.betas", [0.9], "optimizer.betas=[0.9]: must be a list of 2 numbers"),
        ("optimizer.betas", [0.9, 1.0], "each value must be less than 1"),
        ("model.hidden", [64, 0], "model.hidden=[64,0]: each value must be at least 1"),
        ("model.hidden", [1.5], "must be a list of whole numbers"),
        ("data.limit", 1, "must be at least 2"),
        ("trainer.max_epochs", 2.5, "must be a whole number"),
        ("init.mode", "fan_inn", "must be fan_in or fan_out. Did you mean fan_in?"),
        ("trainer.deterministic", "yes", "must be true or false"),
        ("seed", -1, "seed=-1: must be at least 0"),
        ("activation._target_", "os.system", "must be a module of torch.nn, or a function of torch on tensors."),
        ("data.batch_size", 1, None),
    ],
)
def test_types_and_ranges(key: str, value: object, message: str | None) -> None:
    config, _ = compose()
    config = OmegaConf.create(copy.deepcopy(config))
    OmegaConf.update(config, key, value, force_add=True)
    plain = OmegaConf.to_container(config)
    assert isinstance(plain, dict)
    if message is None:
        check(plain)
    else:
        with pytest.raises(ConfigError) as caught:
            check(plain)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_integer_is_a_number() -> None:
    assert compose("optimizer.lr=1")[0]["optimizer"]["lr"] == 1


def test_limits_are_inclusive_where_they_say_so() -> None:
    assert Limits(ge=1, le=2).broken_by(1) is None
    assert Limits(ge=1, le=2).broken_by(2) is None
    assert Limits(gt=1).broken_by(1) == "must be greater than 1"
    assert Limits(lt=1).broken_by(1) == "must be less than 1"


def test_nearest_is_silent_when_nothing_is_near() -> None:
    assert nearest("reluu", ["relu", "gelu"]) == " Did you mean relu?"
    assert nearest("xyz", ["relu", "gelu"]) == ""


@pytest.mark.parametrize(
    ("overrides", "task", "word"),
    [
        (("activation=sigmoid",), "multiclass", "derived for ReLU"),
        (("init=zeros",), "multiclass", "stay equal"),
        (("activation=selu",), "multiclass", "lecun_normal"),
        (("loss=mse",), "multiclass", "slower than cross-entropy"),
        (("loss=mse",), "multiclass", "init=he_normal: use loss=auto"),
        (("loss=mse", "model.output=softmax"), "multiclass", "slower than cross-entropy: use loss=auto model.output=none"),
        (("loss=mse", "model.output=softmax"), "multiclass", "hardly any gradient"),
        (("loss=mse", "model.output=sigmoid", "data=xor"), "binary", "hardly any gradient"),
    ],
)
def test_risky_choices_are_named(overrides: tuple[str, ...], task: str, word: str) -> None:
    assert any(word in sentence for sentence in risks(*compose(*overrides), task))


def test_the_default_run_has_no_warning() -> None:
    assert risks(*compose(), "multiclass") == []
    # Squared error is the usual loss of a regression. On two classes, nothing was found against it with model.output=none.
    for task in ("regression", "binary"):
        assert risks(*compose("loss=mse"), task) == []


@pytest.mark.parametrize(
    "change", ["optimizer.lr=0.5", "seed=4", "activation=gelu", "optimizer=sgd", "data.limit=100", "norm=batch_after"]
)
def test_a_resumed_run_stays_the_run_it_was(change: str) -> None:
    with pytest.raises(ConfigError, match=r"only trainer\.\* keys can change"):
        check_resumed(compose()[0], compose(change)[0])


@pytest.mark.parametrize("change", ["trainer.max_epochs=50", "data.epochs=50", "trainer=cpu", "fail_on_divergence=true"])
def test_what_a_resumed_run_may_change(change: str) -> None:
    check_resumed(compose()[0], compose(change)[0])
