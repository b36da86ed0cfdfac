"""A hint of the command line that is followed leads to no other mistake about the same thing."""

import random
import re
from collections.abc import Iterator

import pytest
from hydra.core.config_loader import ConfigLoader

from gradpath.config.checks import leaves
from gradpath.config.composition import CONF, compose, config_loader
from gradpath.config.grammar import parse
from gradpath.config.launch import read
from gradpath.config.schema import GROUPS
from gradpath.errors import ConfigError

OPTIONS = {group: sorted(path.stem for path in (CONF / group).glob("*.yaml")) for group in [*GROUPS, "experiment"]}
# Values that every option with such a key takes.
VALID = {
    "seed": "3", "fail_on_divergence": "true",
    "data.batch_size": "64", "data.epochs": "2", "data.limit": "100",
    "model.hidden": "[8]", "model.depth": "4", "model.width": "32",
    "activation.negative_slope": "0.1", "activation.alpha": "0.5",
    "init.gain": "1.5", "init.std": "0.1", "init.sigma_b2": "0.1", "norm.layer.eps": "1e-4",
    "optimizer.lr": "0.01", "optimizer.momentum": "0.9", "optimizer.weight_decay": "0.1", "optimizer.betas": "[0.9,0.99]",
    "schedule.floor": "0.1", "schedule.warmup": "0.1", "schedule.gamma": "0.5",
    "probe.every": "10", "probe.rank": "true",
    "trainer.max_epochs": "2", "trainer.precision": "32-true", "trainer.accelerator": "cpu",
}  # fmt: skip
DRAWN = 12


@pytest.fixture(scope="module")
def loader() -> Iterator[ConfigLoader]:
    with config_loader() as made:
        yield made


def said(loader: ConfigLoader, line: list[str]) -> str:
    """The mistake in a line; an empty string if there is none."""
    try:
        read(parse(line), loader, multirun=False)
    except ConfigError as error:
        return str(error)
    return ""


def misspelt(word: str, dice: random.Random) -> str:
    """The word with a letter dropped, doubled or exchanged with the next."""
    at = dice.randrange(len(word) - 1)
    return dice.choice([
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    ])  # fmt: skip


def wrong_line(dice: random.Random) -> list[str]:
    """A line with one mistake, or two of different kinds: a letter, a prefix, another group, no group, an option."""
    line = [f"experiment={dice.choice(OPTIONS['experiment'])}"] if dice.random() < 0.2 else []
    key, value = dice.choice([*VALID.items()])
    group = dice.choice([group for group in OPTIONS if group != "experiment"])
    option = dice.choice(OPTIONS[group])
    prefix = dice.choice(["", "", "+", "++"])
    root, _, name = key.rpartition(".")
    drawn = [
        f"{misspelt(key, dice)}={value}",
        f"{name}={value}",
        f"{dice.choice([*GROUPS])}.{name}={value}",
        f"{misspelt(group, dice)}={option}",
        f"{group}={misspelt(option, dice)}",
        f"{root or 'model'}.{misspelt(name, dice)}={value}",
        f"{key}={value}",
    ]
    return [*line, prefix + dice.choice(drawn)]


def followed(line: list[str], message: str) -> list[str] | None:
    """The line as the message's hint would have it; None if it has no hint."""
    mistake = message.partition(": ")[0]
    (at,) = [k for k, text in enumerate(line) if text.lstrip("+") == mistake.lstrip("+")] or [None]
    others, value = [text for k, text in enumerate(line) if k != at], mistake.partition("=")[2]
    if written := re.search(r"; write (\S+)\.$", message):
        return [*others, written[1]]
    if belongs := re.search(r" It belongs to (\S+?)(?:,| or|\. )", message):
        return [*others, belongs[1], mistake]
    if meant := re.search(r" Did you mean (\S+?)(?:, a key of (\S+?))?(?:,.*?| or .*?)?\?", message):
        name = meant[1]
        is_option = ": no such option." in message
        new = f"{mistake.partition('=')[0]}={name}" if is_option or ": must be " in message else f"{name}={value}"
        return [*others, *([meant[2]] if meant[2] else []), new]
    return None


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in range(1, 12))])
def test_a_hint_leads_to_no_other_mistake(loader: ConfigLoader, seed: int) -> None:
    dice, hints = random.Random(seed), 0
    for _ in range(DRAWN):
        line = wrong_line(dice)
        message = said(loader, line)
        better = followed(line, message) if message else None
        if better is not None:
            hints += 1
            # A hint mends a name. That this loss does not fit these data is another mistake.
            later = said(loader, better)
            assert later == "" or "but this data is" in later, (line, message, better)
    assert hints > DRAWN // 4


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("+logger=csv", "logger=csv: no such group or key. There are"),
        ("momentum=0.9", "Did you mean optimizer.momentum, a key of optimizer=momentum, "),
        ("optimizer=sgd optimizer.momentum=0.9", "It belongs to optimizer=momentum, "),
        ("lr=0.1", "Did you mean optimizer.lr?"),
        ("model.lr=0.1", "Did you mean optimizer.lr?"),
        ("optimzer.momentm=0.9", "Did you mean optimizer.momentum, a key of optimizer=momentum, "),
        ("model.sed=3", "Did you mean seed?"),
        ("probe.lr=0.01", "Did you mean optimizer.lr?"),
        ("experiment=symmetry ++init.gain=1.5", "init.gain=1.5: init=zeros has no such key."),
        ("depth=5", "Did you mean model.depth, a key of model=deep?"),
        ("+model.depth=5", "model.depth=5: model=mlp has no such key. It belongs to model=deep."),
        ("++optimizer.lr=0.1", "++optimizer.lr=0.1: no + is needed; write optimizer.lr=0.1."),
        ("+optimizer.lr=-1", "optimizer.lr=-1: must be greater than 0."),
        ("+optimizer=adm", "optimizer=adm: no such option. Did you mean adam?"),
        # No model but deep goes with this experiment.
        ("experiment=vanishing_sigmoid model=mpl", "model=mpl: no such option. There are"),
        ("trainer.accelerator=gpuu", "Did you mean gpu?"),
        ("experiment=xor model=perceptron", "use model=mlp."),
    ],
)
def test_what_is_said(loader: ConfigLoader, line: str, hint: str) -> None:
    message = said(loader, line.split())
    assert hint in message
    if better := followed(line.split(), message):
        assert said(loader, better) == ""


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("norm=batch_before data.batch_size=1", "norm=batch_before data.batch_size=2"),
        ("norm=batch_before data.batch_size=1", "norm=layer_before data.batch_size=1"),
        ("model.output=softmax loss=cross_entropy", "model.output=none loss=cross_entropy"),
        ("experiment=xor model=perceptron", "experiment=xor model=mlp"),
        ("trainer.devices=0", "trainer.devices=-1"),
    ],
)
def test_what_impossible_combinations_are_told_to_use(line: str, instead: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        compose(*line.split())
    (changed,) = set(instead.split()) - set(line.split())
    assert changed in str(wrong.value) or changed.partition("=")[2] in str(wrong.value)
    assert dict(leaves(compose(*instead.split())[0]))
