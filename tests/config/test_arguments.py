"""The grammar of commands: what is understood, what is not, and with what words."""

import subprocess
import sys

import pytest

from gradpath.config.arguments import Command, Keys, Value, numbers, one_of, whole, wholes
from gradpath.errors import ConfigError

COMMAND = Command(
    "What it does.",
    {"kind": Value(one_of(("small", "large")), "small|large", default="small")},
    {
        "small": Keys({"at": Value(numbers(2), default=[0.0, 1.0]), "seed": Value(whole(0), default=0)}),
        "large": Keys({"rates": Value(numbers())}, overrides=True),
    },
    {"--quick": Value(bool), "--only": Value(wholes(1, 20), "N[,N]")},
)


def test_in_any_order() -> None:
    for typed in (["--quick", "small", "seed=3"], ["seed=2", "--quick", "small", "seed=3"], ["seed=3", "--quick"]):
        read = COMMAND.read(typed)
        assert (read.kind, read.quick, read.only, read.at, read.seed) == ("small", True, None, [0.0, 1.0], 3)
    read = COMMAND.read(["--only=12,8,8", "activation=relu", "rates=[1e-3,.5]", "large", "model.hidden=[3,4]"])
    assert (read.only, read.rates, read.overrides) == ([8, 12], [0.001, 0.5], ["activation=relu", "model.hidden=[3,4]"])
    assert not hasattr(read, "seed")
    assert COMMAND.read(["small", "at=-1,2"]).at == [-1.0, 2.0]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("smal", "smal: must be small or large. Did you mean small?"),
        ("small large", "large: not understood. Allowed: [-h] [small|large] [key=value ...] [--quick] [--only N[,N]]."),
        ("--quik", "--quik: not understood. Did you mean --quick? Allowed: "),
        # No abbreviations: another flag would change what they mean.
        ("--qui", "--qui: not understood. Did you mean --quick?"),
        ("-quick", "-quick: not understood. Did you mean --quick?"),
        ("-help", "-help: not understood. Did you mean --help?"),
        ("--seed=3", "--seed=3: not understood. Write seed=3. Allowed: "),
        ("--only", "--only: expected one argument"),
        ("--only 0,3", "--only 0,3: must be whole numbers from 1 to 20, such as 1,20."),
        ("--only 3,", "--only 3,: must be whole numbers"),
        ("sed=1", "sed=1: small has no such key. Did you mean seed? It takes at, seed."),
        ("rates=1", "rates=1: small has no such key. It belongs to large. It takes at, seed."),
        ("quick=1", "quick=1: small has no such key. Did you mean --quick?"),
        ("large rate=1", "rate=1: large has no such key. Did you mean rates? It takes rates and what train.py takes."),
        ("seed=-1", "seed=-1: must be a whole number, at least 0."),
        ("seed=1.0", "seed=1.0: must be a whole number"),
        ("seed=\u00b2", "seed=\u00b2: must be a whole number"),
        ("seed=", "seed=: must be a whole number"),
        ("at=1", "at=1: must be a list of 2 numbers."),
        ("at=[1,nan]", "at=[1,nan]: must be a list of 2 numbers."),
        ("at=[1,2", "at=[1,2: must be a list of 2 numbers."),
        ("large rates=[]", "rates=[]: must be a list of numbers, such as [0.1,0.01]."),
    ],
)
def test_what_is_not_understood(typed: str, message: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        COMMAND.read(typed.split())
    assert str(wrong.value).startswith(message)
    assert "\n" not in str(wrong.value)


def test_without_a_word() -> None:
    command = Command("", keys={"": Keys({"run": Value(shown="FOLDER")})})
    assert command.read(["run=a=b"]).run == "a=b"
    assert command.read([]).run is None
    with pytest.raises(ConfigError, match=r"^a: not understood. Allowed: \[-h\] \[run=FOLDER\]\.$"):
        command.read(["a"])


def test_any_number_of_words() -> None:
    command = Command("", many=Value(shown="SWEEP"), flags={"--by": Value(shown="KEY")})
    chosen = command.read(["a", "--by", "x", "b=c", "a"])
    assert (chosen.many, chosen.by) == (["a", "b=c", "a"], "x")
    assert command.read([]).many == []
    assert Command("", many=Value(whole(1))).read(["2", "3"]).many == [2, 3]
    with pytest.raises(ConfigError, match=r"^0: must be a whole number, at least 1\.$"):
        Command("", many=Value(whole(1))).read(["2", "0"])
    with pytest.raises(
        ConfigError, match=r"^--bi: not understood. Did you mean --by\? Allowed: \[-h\] \[SWEEP ...\] \[--by KEY\]"
    ):
        command.read(["a", "--bi", "x"])
    assert COMMAND.read(["small"]).many == []


def test_help_is_the_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    for typed in (["-h"], ["small", "--help"]):
        with pytest.raises(SystemExit) as ended:
            COMMAND.read(typed)
        assert ended.value.code == 0
        printed = capsys.readouterr().out
        assert "\nWhat it does.\n" in printed
        assert "--only N[,N]" in printed


def test_nothing_heavy_is_imported() -> None:
    heavy = "import sys, gradpath.config.arguments; print({'torch', 'hydra', 'omegaconf', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout == "set()\n"
