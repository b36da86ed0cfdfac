"""Wrong lines and damaged files, drawn by a seed: one line and exit code 2, nothing written, nothing lost, nothing run."""

import json
import random
import shutil
from pathlib import Path

import pytest

from conftest import Command, tree
from gradpath.config.composition import CONF
from gradpath.config.job import Job
from gradpath.config.schema import GROUPS, Root
from gradpath.errors import ConfigError
from gradpath.run.build import build_run, build_trainer
from gradpath.run.evaluate import evaluate
from gradpath.run.saved import load_run
from gradpath.run.train import run_job
from in_process import by_command, contents

# 2,000 lines and 200 damaged files, of which `make test` takes a twentieth and `make test-all` a fifth.
PARTS, LINES, FILES = 20, 100, 10
EVERY_PART = [
    0,
    *(
        pytest.param(part, marks=pytest.mark.slow if part < PARTS // 5 else pytest.mark.exhaustive)
        for part in range(1, PARTS)
    ),
]

TINY = ("data=xor_noisy", "data.limit=100", "data.epochs=2", "model.hidden=[4]", "trainer.accelerator=cpu", "probe=standard")
VALUES = [
    "", "null", "nan", "-1", "0", "1", "2.5", "1e400", "9" * 5000, "[]", "[[1]]", "[1,null]", "{a:1}", "{a:{b:[1]}}", "{}",
    "${seed}", "${nothing}", "${oc.env:HOME}", "${oc.env:NOTHING}", "${seed", "${now:%Y}", "${run_name:}", "'", '"', "\\",
    "\\'",
    "a b", "'a b'", "\u00fc", "\x1b[2J", "\udcff", "=", "a=b", "true", "1,2", "relu,tanh", "range(1,3)", "range(3,1)",
    "glob(*)",
    "glob(zz)", "choice(1,2)", "choice()", "interval(0,1)", "int(1)", "int(x)", "str(1)", "sort(3,1)", "shuffle(1,2)",
    "tag(a,1)",
    "???", "1e3", "0x10", "1_000", "@", "~", "!", "#", "%s", ".", "..", "/", "/proc/x", "~nobody/x", "last", "torch.nn.ReLU",
    "os.system", "sgd", "none", "adam@here", "[relu]",
]  # fmt: skip
FLAGS = [
    "-m", "--multirun", "--cfg", "--cfg job", "--cfg=all", "--info", "--info defaults", "--info=nonsense", "--resolve",
    "--package x", "-p x", "--config-dir nowhere", "--config-dir", "--config-name x", "--config-path .", "--run", "-sc x",
    "--shell-completion", "--shell-completion install=zzz", "--hydra-help", "--nonsense", "-x", "--",
    "--experimental-rerun x",
]  # fmt: skip
HYDRAS = [
    "hydra", "hydra.run", "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.mode", "hydra.job",
    "hydra.job.name",
    "hydra.job.num", "hydra.job.chdir", "hydra.job.env_set", "hydra.job.env_copy", "hydra.job.config",
    "hydra.sweeper.params",
    "hydra.sweeper.max_batch_size", "hydra.sweeper._target_", "hydra.launcher", "hydra.launcher._target_", "hydra.verbose",
    "hydra.searchpath", "hydra.callbacks", "hydra.callbacks.a", "hydra.output_subdir", "hydra.runtime", "hydra.runtime.cwd",
    "hydra.overrides", "hydra.overrides.task", "hydra.help", "hydra.hydra_logging", "hydra.job_logging", "hydra/launcher",
    "hydra/sweeper", "hydra/job_logging", "hydra/help", "hydra.nothing", "hydra/nothing",
]  # fmt: skip


def keys_of_conf() -> list[str]:
    named = [f"{group}.{key}" for group, schema in GROUPS.items() for key in schema.__annotations__]
    return [
        *GROUPS,
        *Root.__annotations__,
        "experiment",
        "norm.layer.eps",
        "norm.layer._target_",
        "activation._target_",
        *named,
    ]


def misspelt(word: str, rng: random.Random) -> str:
    place, letter = rng.randrange(len(word)), rng.choice("abcxyz._/@+-0")
    before, after = word[:place], word[place + 1 :]
    return rng.choice((before + after, before + letter + word[place:], before + letter + after))


def one_argument(rng: random.Random) -> list[str]:
    """An override or a flag that is most often wrong."""
    kind = rng.random()
    if kind < 0.1:
        return rng.choice(FLAGS).split()
    key = rng.choice(HYDRAS if kind < 0.35 else keys_of_conf())
    if rng.random() < 0.2:
        key = misspelt(key, rng)
    value = rng.choice(VALUES)
    group = CONF / key
    options = sorted(path.stem for path in group.glob("*.yaml"))
    if options and rng.random() < 0.5:
        value = misspelt(rng.choice(options), rng)
    if rng.random() < 0.1:
        value += rng.choice(VALUES)
    prefix = rng.choice(["", "", "", "", "+", "++", "~", "~"])
    return [f"{prefix}{key}" if rng.random() < 0.05 else f"{prefix}{key}={value}"]


@pytest.mark.parametrize("part", EVERY_PART)
def test_wrong_lines(part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """A line is refused in one line, or it describes a run that can be built."""
    rng = random.Random(part)
    logs, built = tmp_path / "logs", []
    logs.mkdir()

    def build(job: Job) -> None:
        _, _, objective, _ = build_run(job.config, job.choices)
        build_trainer(job.config, job.folder, objective.metric_name)
        built.append(job)

    monkeypatch.chdir(tmp_path)
    refused = 0
    for _ in range(LINES):
        arguments = [text for _ in range(rng.choice((1, 1, 1, 2, 3))) for text in one_argument(rng)]
        # Small, so that what is accepted is soon built.
        arguments = ["data=xor", *arguments] if rng.random() < 0.8 else arguments
        code, out, err = by_command(build, arguments, logs, monkeypatch, capfd)
        assert code in (0, 2) or (code == 1 and {"-m", "--multirun"} & set(arguments)), (arguments, code, err)
        if code == 2:
            assert (err.count("\n"), err[:7]) == (1, "error: "), (arguments, err)
            # Before Hydra finds a mistake, --info has printed its first pages.
            assert not out or "--info" in str(arguments), (arguments, out)
            assert not tree(tmp_path) - {tmp_path, logs}, arguments
            refused += 1
        assert "Traceback" not in err, (arguments, err)
        shutil.rmtree(logs)
        logs.mkdir()
    assert refused > LINES / 2


def damage(folder: Path, rng: random.Random) -> str:
    """Damages one file of a run. Returns what was done."""
    path = rng.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    content, kind = path.read_bytes(), rng.randrange(7)
    place = rng.randrange(len(content) + 1)
    noise = rng.randbytes(rng.choice((1, 8, 200)))
    if kind == 0:
        path.unlink()
    elif kind == 1:
        path.unlink()
        path.mkdir()
    else:
        others = sorted(other for other in folder.rglob("*") if other.is_file() and other != path)
        path.write_bytes(
            (content[:place], content[:place] + noise + content[place:],
             content[:place] + noise + content[place + len(noise) :],
             content + noise, rng.choice(others).read_bytes())[kind - 2]
        )  # fmt: skip
    return (
        f"{path.relative_to(folder)}: {('gone', 'a folder', 'cut', 'inserted', 'overwritten', 'longer', 'exchanged')[kind]}"
    )


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory, command: Command) -> list[Path]:
    """A run that has come to its end, and one that was killed before it."""
    folders = [tmp_path_factory.mktemp("runs") / name for name in ("finished", "killed")]
    for folder in folders:
        assert command("train.py", *TINY, f"hydra.run.dir={folder}").returncode == 0
    (folders[1] / "result.json").unlink()
    return folders


@pytest.mark.parametrize("part", EVERY_PART)
def test_damaged_files(
    part: int, standing: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A damaged run is refused and stays as it is, or goes on to its end."""
    rng = random.Random(1000 + part)
    monkeypatch.chdir(tmp_path)
    for number in range(FILES):
        folder = tmp_path / str(number)
        shutil.copytree(rng.choice(standing), folder)
        done = damage(folder, rng)
        before = contents(folder)
        for read in (load_run, evaluate):
            try:
                read(folder)
            except (ConfigError, FileNotFoundError, ValueError) as error:
                said = error
                assert type(said) is not UnicodeDecodeError, done
                assert "\n" not in str(said), (done, said)
        assert contents(folder) == before, done
        code, _, err = by_command(run_job, [f"resume={folder}", "trainer.max_epochs=3"], tmp_path, monkeypatch, capfd)
        assert code in (0, 2), (done, err)
        assert "Traceback" not in err, (done, err)
        if code == 2:
            assert (err.count("\n"), err[:7]) == (1, "error: "), (done, err)
            assert contents(folder) == before, done
        else:
            assert json.loads((folder / "result.json").read_text())["status"] in ("ok", "diverged"), done
