"""A sweep, typed as a user types it: its folder, its jobs, what it prints and how it goes on."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from board import wait_until
from conftest import Command, Start
from lab import make_lab
from sweeping import ENGINES, LAUNCHERS, TINY, counted, lasting, results

pytestmark = pytest.mark.forked


def test_a_sweep_is_a_folder(sweep: Command, tmp_path: Path) -> None:
    done = sweep("activation=relu,tanh", "seed=range(2)")
    folder = tmp_path / "sweep"
    assert (done.returncode, done.stderr) == (0, "")
    names = ["0-relu-s0", "1-relu-s1", "2-tanh-s0", "3-tanh-s1"]
    plan = yaml.safe_load((folder / "sweep.yaml").read_text())
    assert [job["name"] for job in plan["jobs"]] == names
    assert plan["jobs"][2]["overrides"][-2:] == ["activation=tanh", "seed=0"]
    found = results(folder)
    assert [(found[name]["choices"]["activation"], found[name]["seed"]) for name in names] == [
        ("relu", 0), ("relu", 1), ("tanh", 0), ("tanh", 1),
    ]  # fmt: skip
    assert {result["environment"]["threads"] for result in found.values()} == {plan["threads"]} == {1}
    for name in names:
        assert "epoch 3/3" in (folder / name / "job.log").read_text()
        assert (
            yaml.safe_load((folder / name / "overrides.yaml").read_text())[-2:]
            == plan["jobs"][names.index(name)]["overrides"][-2:]
        )
    with (folder / "summary.csv").open() as file:
        rows = {row["job"]: row for row in csv.DictReader(file)}
    assert {name: float(row["test/loss"]) for name, row in rows.items()} == {
        name: result["metrics"]["test/loss"] for name, result in found.items()
    }
    # A line for each job that ended, between one that says what is begun and one that says what came out.
    lines = done.stdout.splitlines()
    assert len(lines) == 9
    assert [line.split()[0] for line in lines[1:5]] == ["1/4", "2/4", "3/4", "4/4"]
    assert {line.split()[1] for line in lines[1:5]} == {*names}
    assert lines[5].endswith(": 4 ok")
    # Then the best run, the report and the command that compares.
    best = max(found, key=lambda name: found[name]["metrics"]["val/accuracy"])
    assert re.match(rf"best: {best}, val/accuracy \S+ \(test/accuracy \S+\)", lines[6])
    assert lines[7:] == [f"report: {folder / 'report.html'}", f"compare: python scripts/compare.py {folder}"]


def test_a_job_is_what_the_same_command_without_m_gives(sweep: Command, tmp_path: Path, command) -> None:
    sweep("activation=relu,gelu", "optimizer.lr=0.1,0.01")
    alone = tmp_path / "alone"
    assert command("train.py", *TINY, "activation=gelu", "optimizer.lr=0.1", f"hydra.run.dir={alone}").returncode == 0
    name = "2-gelu-lr0.1"
    one = json.loads((alone / "result.json").read_text())
    assert results(tmp_path / "sweep")[name]["metrics"] == one["metrics"]
    assert (alone / "config.yaml").read_text() == (tmp_path / "sweep" / name / "config.yaml").read_text()


def test_the_same_command_again_runs_nothing(sweep: Command, tmp_path: Path) -> None:
    sweep("seed=0,1")
    before = {path: path.read_bytes() for path in (tmp_path / "sweep").glob("*/*") if path.is_file()}
    done = sweep("seed=0,1")
    assert done.returncode == 0
    assert "2 jobs, 0 to run, 2 done before" in done.stdout
    assert {path: path.read_bytes() for path in (tmp_path / "sweep").glob("*/*") if path.is_file()} == before


def test_a_longer_command_adds_jobs(sweep: Command, tmp_path: Path) -> None:
    sweep("seed=0,1")
    before = lasting(tmp_path / "sweep")
    done = sweep("seed=0,2,1")
    assert "3 jobs, 1 to run, 2 done before" in done.stdout
    after = lasting(tmp_path / "sweep")
    assert {name: after[name] for name in before} == before
    assert [*after] == ["0-s0", "1-s1", "2-s2"]
    # Jobs of a command that names other keys are beside these, and differ from them in all tables.
    other = ("activation=gelu", "seed=0")
    listed = sweep(*other, "sweep.dry_run=true").stdout.splitlines()
    assert listed[0].split()[:3] == ["3-gelu-s0", "to", "run"]
    assert listed[1] == "1 job: 1 to run"
    assert "1 job, 1 to run, beside 3 others" in sweep(*other).stdout
    with (tmp_path / "sweep/summary.csv").open() as file:
        rows = [(row["job"], row["activation"], row["seed"]) for row in csv.DictReader(file)]
    assert rows == [("0-s0", "relu", "0"), ("1-s1", "relu", "1"), ("2-s2", "relu", "2"), ("3-gelu-s0", "gelu", "0")]
    assert len(yaml.safe_load((tmp_path / "sweep/sweep.yaml").read_text())["commands"]) == 2
    # It is found without its name by its first command and by its second.
    for typed in (("seed=0,1,2",), other):
        assert "0 to run" in sweep(*typed).stdout


def test_other_settings_are_another_job(sweep: Command, tmp_path: Path) -> None:
    """A changed option file changes the configuration behind the same words."""
    option = tmp_path / "options/activation/own.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("_target_: torch.nn.LeakyReLU\nnegative_slope: 0.1\n")
    typed = ("activation=own", "seed=0,1", "--config-dir", str(tmp_path / "options"))
    sweep(*typed)
    before = lasting(tmp_path / "sweep")
    option.write_text("_target_: torch.nn.LeakyReLU\nnegative_slope: 0.4\n")
    done = sweep(*typed)
    assert "2 jobs, 2 to run" in done.stdout
    after = lasting(tmp_path / "sweep")
    assert {name: after[name] for name in before} == before
    assert sorted(after) == ["0-s0", "1-s1", "2-s0", "3-s1"]
    assert after["2-s0"] != after["0-s0"]


def test_other_code_is_another_job(project: Path, tmp_path: Path, command) -> None:
    """A line of the code that trains was changed; a comment was not."""
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(project), str(copy)], check=True)
    typed = [str(copy / "train.py"), "-m", *TINY, "seed=0,1", "sweep.name=coded"]
    env = {"PYTHONPATH": str(copy / "src")}
    assert command(*typed, fresh=True, **env).returncode == 0
    network = copy / "src/gradpath/model/network.py"
    network.write_text("# A comment.\n" + network.read_text())
    assert "2 jobs, 0 to run" in command(*typed, fresh=True, **env).stdout
    network.write_text(network.read_text() + "\nANOTHER = 1\n")
    changed = command(*typed, fresh=True, **env).stdout
    assert "2 jobs, 2 to run" in changed
    assert "kept beside, as the code or an option's file has changed: 0-s0, 1-s1" in changed
    assert sorted(results(copy / "logs/sweeps/coded")) == ["0-s0", "1-s1", "2-s0", "3-s1"]


def test_a_number_is_never_given_twice(sweep: Command, tmp_path: Path) -> None:
    """An option's file changes from tanh to relu, which the sweep has already, and then to sigmoid."""
    option = tmp_path / "options/activation/foo.yaml"
    option.parent.mkdir(parents=True)
    typed = ["--config-dir", str(tmp_path / "options"), "activation=relu,foo"]
    for kind, said in (("Tanh", "2 jobs, 2 to run"), ("ReLU", "1 job, 0 to run"), ("Sigmoid", "2 jobs, 1 to run")):
        option.write_text(f"_target_: torch.nn.{kind}\n")
        done = sweep(*typed)
        assert (done.returncode, said in done.stdout) == (0, True), done.stdout + done.stderr
    plan = yaml.safe_load((tmp_path / "sweep/sweep.yaml").read_text())
    assert [job["name"] for job in plan["jobs"]] == ["0-relu", "2-foo"]
    made = {name: (tmp_path / "sweep" / name / "config.yaml").read_text() for name in ("1-foo", "2-foo")}
    assert ["Tanh" in made["1-foo"], "Sigmoid" in made["2-foo"]] == [True, True]


def test_what_a_mistake_in_any_job_writes(sweep: Command, tmp_path: Path) -> None:
    """Nothing: the last of six jobs is wrong, and only with both its values."""
    done = sweep("norm=none,batch_before", "data.batch_size=4,2,1")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "BatchNorm needs at least 2 samples" in done.stderr
    assert not (tmp_path / "sweep").exists()


def test_dry_run(sweep: Command, tmp_path: Path) -> None:
    done = sweep(
        "sweep.zip=[seed,model.hidden]",
        "seed=0,1,2",
        "model.hidden=[3],[4,4],[5]",
        "activation=relu,elu",
        "sweep.dry_run=true",
    )
    lines = done.stdout.splitlines()
    assert lines[-1] == "6 jobs"
    assert lines[0].split()[0] == "0-hidden3-relu-s0"
    assert {"seed=1", "model.hidden=[4,4]", "activation=elu"} <= {*lines[3].split()}
    assert not (tmp_path / "sweep").exists()


def test_dry_run_of_a_sweep_that_was_begun(sweep: Command, tmp_path: Path) -> None:
    """It says what is done, what is to run, and what is to run because it has changed."""
    typed = ("--config-dir", str(tmp_path / "options"), "activation=own", "seed=0,1")
    option = tmp_path / "options/activation/own.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("_target_: torch.nn.Tanh\n")
    assert sweep(*typed).returncode == 0
    more = (*typed[:-1], "seed=0,1,2", "sweep.dry_run=true")
    (tmp_path / "sweep/1-s1/result.json").unlink()

    def states(*asked: str) -> list[str]:
        *listed, last = sweep(*asked).stdout.splitlines()
        return [*(line.partition("  ")[2].partition("  ")[0] for line in listed), last]

    assert states(*more) == ["done, ok", "to run", "to run", "3 jobs: 1 done, 2 to run"]
    failed = {"status": "failed", "error": "no"}
    (tmp_path / "sweep/1-s1/result.json").write_text(json.dumps(failed))
    assert states(*more) == ["done, ok", "done, failed", "to run", "3 jobs: 2 done, 1 to run"]
    assert states(*more, "sweep.retry=failed")[1] == "to run again, failed"
    option.write_text("_target_: torch.nn.ReLU\n")
    assert states(*more) == ["to run, changed", "to run, changed", "to run", "3 jobs: 3 to run, 2 of them changed"]
    assert sorted(path.name for path in (tmp_path / "sweep").glob("[0-9]*")) == ["0-s0", "1-s1"]


def test_one_job_is_a_run(command, project: Path) -> None:
    done = command("train.py", "-m", *TINY, "seed=7", "activation=silu")
    assert done.returncode == 0
    assert "gradient at the end" in done.stdout
    (folder,) = (project / "logs/runs").glob("*silu*s7/*")
    assert json.loads((folder / "result.json").read_text())["status"] == "ok"


def test_a_name_and_its_jobs_are_found_again(command, project: Path) -> None:
    typed = ("train.py", "-m", *TINY, "seed=11,12", "hydra.launcher.jobs=2")
    assert command(*typed, "sweep.name=found-again").returncode == 0
    for more in (("sweep.resume=true",), ("sweep.name=found-again",)):
        assert "logs/sweeps/found-again: 2 jobs, 0 to run, 2 done before" in command(*typed, *more).stdout
    refused = command("train.py", "-m", *TINY, "seed=21,22", "sweep.resume=true")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "no sweep in" in refused.stderr


def test_two_sweeps_of_the_same_second(start, project: Path) -> None:
    before = {*(project / "logs/sweeps").glob("*")}
    both = [start("train.py", "-m", *TINY, f"seed={k},{k + 1}") for k in (31, 41)]
    assert [(process.communicate()[1], process.returncode) for process in both] == [("", 0)] * 2
    made = {*(project / "logs/sweeps").glob("*")} - before
    assert sorted(sorted(results(folder)) for folder in made) == [["0-s31", "1-s32"], ["0-s41", "1-s42"]]


def test_a_second_process_is_told_who_is_at_work(begin: Start, sweep: Command, tmp_path: Path) -> None:
    first = begin("seed=range(4)", "trainer.max_epochs=60")
    folder = tmp_path / "sweep"
    wait_until(lambda: (folder / "sweep.yaml").exists())
    second = sweep("seed=range(4)", "trainer.max_epochs=60")
    assert (second.returncode, second.stdout, second.stderr.count("\n")) == (2, "", 1)
    said = rf"process {first.pid} on \S+ is at work in it; wait for its end, or help it: sweep.join=true\."
    assert re.search(said, second.stderr)
    first.kill()
    first.communicate()
    # The lock went with its owner.
    third = sweep("seed=range(4)", "trainer.max_epochs=60")
    assert third.returncode == 0
    assert len(results(folder)) == 4


def test_two_processes_share_a_sweep(begin: Start, tmp_path: Path) -> None:
    typed = ("seed=range(8)", "trainer.max_epochs=20")
    first = begin(*typed)
    folder = tmp_path / "sweep"
    wait_until(lambda: (folder / "sweep.yaml").exists())
    second = begin(*typed, "sweep.join=true")
    texts = [process.communicate()[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0]
    assert {result["status"] for result in results(folder).values()} == {"ok"}
    # Each job was trained once: its log has one beginning.
    logs = [(folder / f"{k}-s{k}" / "job.log").read_text() for k in range(8)]
    assert [log.count("gradpath, seed") for log in logs] == [1] * 8
    assert counted(texts[0]).endswith(": 8 ok")
    # The helper says what it did, and how far the sweep is. The other process may still be at its last jobs.
    said = re.search(r"sweep: ran (?:no job|(\d) jobs? \(\1 ok\)) here; of all 8 jobs (.*)", counted(texts[1]))
    assert said
    assert said[2] in ("8 ok", "7 ok, 1 at work", "6 ok, 2 at work")


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_ctrl_c_stops_between_batches_and_says_how_to_go_on(
    launcher: str, begin: Start, sweep: Command, project: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sweep"
    whole = tmp_path / "whole"
    # Of the slow engines' jobs, none waits for another one.
    seeds = 3 if launcher == "local" else 2
    typed = (f"seed=range({seeds})", "trainer.max_epochs=150", *ENGINES[launcher])
    assert sweep(*typed[:2], folder=whole).returncode == 0
    process = begin(*typed)
    wait_until(lambda: len([*folder.glob("*/checkpoints/last.ckpt")]) >= 2)
    # A terminal sends it to all processes of the command.
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in out + err
    # Ray says a line of its own before.
    said = re.fullmatch(r"stopped; to continue: (python.* train\.py -m .*)", err.strip().splitlines()[-1])
    assert said
    assert results(folder) == {}
    assert f"{seeds} missing" in out
    assert "stopping 2 jobs at the end of a batch; Ctrl-C again ends them at once\n" in out
    # The jobs came to the end of a batch, and said so themselves.
    assert all("stopped; to continue" in (folder / f"{k}-s{k}/job.log").read_text() for k in range(2))
    assert not [*folder.glob("*/.stop*")]
    # What it says is typed, in a shell.
    places = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(project / "src")}
    going_on = subprocess.run(
        ["sh", "-c", said[1]], cwd=project, env=os.environ | places, capture_output=True, text=True, check=False
    )
    assert (going_on.returncode, going_on.stderr.count("Traceback")) == (0, 0)
    assert lasting(folder) == lasting(whole)


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_second_ctrl_c_ends_the_jobs_at_once(launcher: str, begin: Start, project: Path, tmp_path: Path) -> None:
    """Jobs that never come to the end of a batch."""
    variables = make_lab(tmp_path, {"0-s0": "hang", "1-s1": "hang"})
    variables["PYTHONPATH"] = os.pathsep.join([str(project / "src"), str(tmp_path)])
    typed = ("--config-dir", str(tmp_path / "options"), "activation=fragile", "seed=0,1", *ENGINES[launcher])
    process = begin(*typed, fresh=True, **variables)
    folder = tmp_path / "sweep"
    wait_until(lambda: len([*folder.glob("*/metrics.csv")]) == 2)
    jobs = [int((path.parent / ".lock").read_text().split()[1]) for path in folder.glob("*/metrics.csv")]
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert "2 missing" in out
    assert "Traceback" not in out + err
    wait_until(lambda: not any(map(alive, jobs)))
    assert not [*folder.glob("*/.stop*")]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_ctrl_c_while_torch_is_imported_begins_no_job(launcher: str, begin: Start, tmp_path: Path) -> None:
    process = begin("seed=range(3)", *ENGINES[launcher], fresh=True)
    folder = tmp_path / "sweep"
    wait_until(lambda: [*folder.glob("*-s*")])
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert "stopping " in out
    assert "3 missing" in out
    assert "stopped; to continue: " in err
    assert "Traceback" not in out + err
    assert not [*folder.glob("*/job.log")]


def test_fail_fast_begins_no_further_job(sweep: Command, tmp_path: Path) -> None:
    # The first are too large for any machine, which only they themselves find.
    widths = "model.hidden=[100000,1000000000],[6,6]"
    done = sweep(widths, "seed=range(4)", "sweep.fail_fast=true", "hydra.launcher.jobs=1")
    assert done.returncode == 1
    found = results(tmp_path / "sweep")
    assert [result["status"] for result in found.values()] == ["failed"]
    again = sweep(widths, "seed=range(4)")
    assert "1 done before" in again.stdout
    assert len(results(tmp_path / "sweep")) == 8


def test_what_the_parent_leaves_when_it_is_killed(begin: Start, tmp_path: Path) -> None:
    """Its jobs end with it, and so does the process that they were forked from."""
    process = begin("seed=range(4)", "trainer.max_epochs=400")
    folder = tmp_path / "sweep"
    wait_until(lambda: [*folder.glob("*/metrics.csv")])
    children = descendants(process.pid)
    assert len(children) >= 3
    process.kill()
    process.communicate()
    wait_until(lambda: not any(alive(pid) for pid in children))


def test_the_process_that_jobs_are_forked_from_is_killed(begin: Start, sweep: Command, tmp_path: Path) -> None:
    """Its jobs are told as ended from outside, and go on with the same command."""
    typed = ("seed=range(2)", "trainer.max_epochs=400")
    process = begin(*typed, fresh=True)
    folder = tmp_path / "sweep"
    wait_until(lambda: len([*folder.glob("*/checkpoints/last.ckpt")]) == 2)
    # The server has the jobs as its children.
    (server,) = [pid for pid in descendants(process.pid) if len(descendants(pid)) >= 2]
    os.kill(server, signal.SIGKILL)
    out, err = process.communicate()
    assert (process.returncode, "Traceback" in out + err) == (1, False)
    assert "cannot be written to" not in out
    assert "were ended from outside; the same command goes on with them" in err
    assert "2 to run" in (again := sweep(*typed)).stdout
    assert again.returncode == 0
    assert [result["status"] for result in results(folder).values()] == ["ok", "ok"]


def descendants(pid: int) -> list[int]:
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *descendants(int(child))]
    return found


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("common", ["true", "false"])
def test_images_are_read_once(common: str, command, project: Path, tmp_path: Path) -> None:
    """An activation of the user's tells how often the job's process has read a file of images itself."""
    variables = make_lab(tmp_path, {})
    variables["PYTHONPATH"] = os.pathsep.join([str(project / "src"), str(tmp_path)])
    (tmp_path / "mylab/telling.py").write_text(
        "import torch\nfrom gradpath.data.images import _unpacked\n"
        "def telling(x):\n    print('read', *_unpacked.cache_info()[:2])\n    return torch.relu(x)\n"
    )
    (tmp_path / "options/activation/telling.yaml").write_text("_target_: mylab.telling.telling\n")
    folder = tmp_path / "images"
    # The archives are unpacked: files that change are read again.
    assert command("scripts/probe.py", "data.limit=64", f"hydra.run.dir={tmp_path / 'look'}").returncode == 0
    done = command(
        "train.py", "-m", "--config-dir", str(tmp_path / "options"), "activation=telling", "data.limit=128", "seed=0,1",
        "trainer.max_epochs=1", "trainer.accelerator=cpu", f"sweep.common_data={common}", f"hydra.sweep.dir={folder}",
        fresh=True, **variables,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    # (hits, misses) of two files: missed by the process that the jobs are forked from and then found, or missed by each job.
    expected = "read 2 2" if common == "true" else "read 0 2"
    for name in ("0-s0", "1-s1"):
        assert expected in (folder / name / "job.log").read_text()
