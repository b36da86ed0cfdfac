"""A search, typed as a user types it: what Optuna proposes is run as a grid's jobs are, and told once."""

import json
import os
import random
import shlex
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from board import wait_until
from conftest import Command, Start
from killing import killed_and_resumed
from sweeping import KILLS, TINY, counted, pointer, results

pytestmark = pytest.mark.forked

OPTUNA = "hydra/sweeper=optuna"
RATE = "optimizer.lr=tag(log,interval(1e-3,1e-1))"
# A run of a few steps.
SHORT = ("trainer.max_epochs=1", "data.steps_per_epoch=3")
LOSS = "metrics.val/loss"
KILLER = Path(__file__).parents[1] / "kill_before.py"


def trials_of(folder: Path) -> list[FrozenTrial]:
    study = optuna.load_study(study_name="search", storage=JournalStorage(JournalFileBackend(str(folder / "study.log"))))
    return study.get_trials()


def jobs_of(folder: Path) -> dict[int, dict[str, Any]]:
    """Number -> job, of the plan."""
    return {job["number"]: job for job in yaml.safe_load((folder / "sweep.yaml").read_text())["jobs"]}


def times_told(folder: Path) -> Counter[int]:
    """Trial -> how often the study was told its end."""
    lines = map(json.loads, (folder / "study.log").read_text().splitlines())
    ends = {int(state) for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)}
    return Counter(line["trial_id"] for line in lines if line.get("state") in ends)


def check_told(folder: Path, trials: int) -> None:
    """Each trial has one job with a result of its number, and was told its loss once."""
    found, jobs = results(folder), jobs_of(folder)
    told = trials_of(folder)
    assert [trial.number for trial in told] == [*jobs] == [*range(trials)]
    assert {job["name"] for job in jobs.values()} == {*found}
    for trial in told:
        name = jobs[trial.number]["name"]
        assert trial.state == TrialState.COMPLETE
        assert trial.values == [found[name]["metrics"]["val/loss"]]
        assert trial.user_attrs["job"] == name
        assert jobs[trial.number]["varied"]["optimizer.lr"] == str(trial.params["optimizer.lr"])
        # It was not trained to its end twice. One that is killed as it ends has not said so.
        assert (folder / name / "job.log").read_text().splitlines().count("result") <= 1
    assert times_told(folder) == dict.fromkeys(range(trials), 1)


def test_a_search_is_a_sweep_of_trials(sweep: Command, command, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    typed = (OPTUNA, RATE, "activation=relu,tanh", "hydra.sweeper.n_trials=5")
    done = sweep(*typed)
    assert (done.returncode, done.stderr) == (0, "")
    check_told(folder, 5)
    lines = done.stdout.splitlines()
    assert lines[0].endswith("sweep: 5 trials, 5 to run")
    assert [line.split()[0] for line in lines[1:6]] == ["1/5", "2/5", "3/5", "4/5", "5/5"]
    assert lines[6].endswith("sweep: 5 ok")
    assert "5 jobs: 5 ok" in (folder / "summary.md").read_text()
    # A line runs the best one alone.
    best = min(trials_of(folder), key=lambda trial: trial.value)
    assert lines[7] == f"best: trial {best.number}, {LOSS} {best.value:.4g}"
    alone = pointer(done.stdout, "alone").removeprefix("python ")
    assert lines[9:] == [f"report: {folder / 'report.html'}", f"compare: python scripts/compare.py {folder}"]
    assert command(*shlex.split(alone), f"hydra.run.dir={tmp_path / 'alone'}").returncode == 0
    assert json.loads((tmp_path / "alone/result.json").read_text())["metrics"]["val/loss"] == best.value
    dry = sweep(*typed, "sweep.dry_run=true").stdout.splitlines()
    assert dry[-1] == "5 trials, 5 jobs done before"
    # Complete, it runs nothing; with more trials it goes on, and proposes others than it began with.
    assert "5 trials, 0 to run, 5 done before" in sweep(*typed).stdout
    more = sweep(*typed, "hydra.sweeper.n_trials=7", "hydra.sweeper.sampler=random")
    assert "7 trials, 2 to run, 5 done before" in more.stdout
    check_told(folder, 7)
    # A command of fewer trials does not make the search again: all that were typed stand in the report.
    plan = yaml.safe_load((folder / "sweep.yaml").read_text())
    assert [job["command"] for job in plan["jobs"]] == [0] * 5 + [1] * 2
    assert ["n_trials=7" in command for command in plan["commands"]] == [False, True]
    assert all(command in (folder / "summary.md").read_text() for command in plan["commands"])
    assert len({trial.params["optimizer.lr"] for trial in trials_of(folder)}) == 7
    # Another search, or a grid, is another sweep.
    ratio = ("sweep.objective=verdict.ratio", "hydra.sweeper.direction=maximize")
    for other in ((OPTUNA, RATE, "activation=relu,elu"), (*typed, *ratio), ("seed=1,2",)):
        refused = sweep(*other)
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
        assert "choose another name" in refused.stderr
    check_told(folder, 7)


def test_the_proposals_are_those_of_a_plain_loop(sweep: Command, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    typed = (RATE, "activation=relu,tanh,elu", "data.batch_size=range(2,9,2)", "seed=int(interval(0,9))")
    places = ("hydra.launcher.jobs=1", "hydra.sweeper.n_trials=13", "hydra.sweeper.seed=3")
    assert sweep(*SHORT, OPTUNA, *typed, *places).returncode == 0
    found, jobs = results(folder), jobs_of(folder)
    study = optuna.create_study()
    for number in range(13):
        study.sampler = optuna.samplers.TPESampler(seed=3 + 1_000_003 * number)
        trial = study.ask()
        asked = {
            "optimizer.lr": trial.suggest_float("optimizer.lr", 1e-3, 1e-1, log=True),
            "activation": trial.suggest_categorical("activation", ("relu", "tanh", "elu")),
            "data.batch_size": trial.suggest_int("data.batch_size", 2, 8, step=2),
            "seed": trial.suggest_int("seed", 0, 9),
        }
        assert jobs[number]["varied"] == {key: str(value) for key, value in asked.items()}
        study.tell(trial, found[jobs[number]["name"]]["metrics"]["val/loss"])


@pytest.mark.parametrize("sampler", ["tpe", "random", pytest.param("nsga2", marks=pytest.mark.slow)])
def test_a_search_that_was_stopped_proposes_what_it_would_have(sampler: str, sweep: Command, tmp_path: Path) -> None:
    typed = (*SHORT, OPTUNA, RATE, "activation=relu,tanh", "hydra.launcher.jobs=1", f"hydra.sweeper.sampler={sampler}")
    for trials in (4, 11, 14):
        assert sweep(*typed, f"hydra.sweeper.n_trials={trials}").returncode == 0
    assert sweep(*typed, "hydra.sweeper.n_trials=14", folder=tmp_path / "whole").returncode == 0
    proposed = [[trial.params for trial in trials_of(tmp_path / name)] for name in ("sweep", "whole")]
    assert proposed[0] == proposed[1]
    assert len({repr(values) for values in proposed[0]}) == 14


@pytest.mark.parametrize("victim", ["sweep", "worker"])
@pytest.mark.parametrize("times", KILLS)
def test_a_search_killed_at_random_moments(times: int, victim: str, begin: Start, sweep: Command, tmp_path: Path) -> None:
    typed = [OPTUNA, RATE, "activation=relu,tanh", "trainer.max_epochs=12"]
    folder = tmp_path / "sweep"
    dice = random.Random(times)
    killed = 0
    for trials in range(2, 2 + 2 * times, 2):
        # So each time there is something left to kill.
        killed += killed_and_resumed(1, dice, begin, folder, [*typed, f"hydra.sweeper.n_trials={trials}"], victim)
    assert killed > times / 2
    trials = 2 + 2 * times
    last = sweep(*typed, f"hydra.sweeper.n_trials={trials}")
    assert last.returncode == 0, last.stdout + last.stderr
    check_told(folder, trials)


@pytest.mark.parametrize("every", [25, pytest.param(4, marks=[pytest.mark.exhaustive, pytest.mark.timeout(1800)])])
def test_a_search_killed_before_any_change(every: int, command: Command, sweep: Command, tmp_path: Path) -> None:
    """Between a proposal, the plan, the job, its result and what the study is told, wherever the process ends."""
    changes = tmp_path / "changes"
    typed = (*SHORT, OPTUNA, RATE, "activation=relu,tanh", "hydra.sweeper.n_trials=2", "hydra.sweeper.prune=true")
    alone = ("hydra.launcher.jobs=1", f"hydra.sweep.dir={tmp_path / 'whole'}")
    kill = lambda number, folder, *more: command(  # noqa: E731
        str(KILLER), str(number), str(folder), str(changes), "train.py", "-m", *TINY, *typed, *more
    )
    assert kill(0, tmp_path / "whole", *alone).returncode == 0
    count = len(changes.read_text().splitlines())
    assert count > 50
    for number in range(1 + every // 2, count, every):
        folder = tmp_path / f"killed_{number}"
        assert kill(number, folder, "hydra.launcher.jobs=1", f"hydra.sweep.dir={folder}").returncode != 0
        last = sweep(*typed, folder=folder)
        assert last.returncode == 0, f"{number}: {last.stdout}{last.stderr}"
        check_told(folder, 2)


def test_what_a_killed_process_leaves_of_the_study(sweep: Command, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    log = folder / "study.log"
    typed = (*SHORT, OPTUNA, RATE)
    assert sweep(*typed, "hydra.sweeper.n_trials=1").returncode == 0
    with log.open("a") as file:
        file.write('{"op_code":4,"worker')
    # Optuna's lock is a link, and does not end with its process.
    log.with_name("study.log.lock").symlink_to(log)
    assert sweep(*typed, "hydra.sweeper.n_trials=2").returncode == 0
    check_told(folder, 2)
    whole = log.read_text()
    for content, says in (("nonsense\n" + whole, "damaged"), (None, "study.log: missing")):
        log.unlink()
        if content:
            log.write_text(content)
        refused = sweep(*typed, "hydra.sweeper.n_trials=3")
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
        assert says in refused.stderr
    log.write_text(whole)
    assert "2 trials, 0 to run" in sweep(*typed, "hydra.sweeper.n_trials=2").stdout


def test_ctrl_c_and_a_name(start: Start, command: Command, project: Path) -> None:
    """A trial that was stopped goes on from its last checkpoint when the newest search of this kind does."""
    typed = ("train.py", "-m", *TINY, OPTUNA, RATE, "hydra.sweeper.n_trials=2", "trainer.max_epochs=100")
    process = start(*typed, "sweep.name=found", "hydra.launcher.jobs=1")
    folder = project / "logs/sweeps/found"
    wait_until(lambda: [*folder.glob("0-*/checkpoints/last.ckpt")])
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert "sweep.name=found" in err
    assert "1 missing" in out
    assert [trial.state for trial in trials_of(folder)] == [TrialState.RUNNING]
    done = command(*typed, "sweep.resume=true")
    assert (done.returncode, "logs/sweeps/found: 2 trials, 2 to run" in done.stdout) == (0, True)
    check_told(folder, 2)
    (log,) = folder.glob("0-*/job.log")
    assert "resumed" in log.read_text() or log.read_text().count("gradpath, seed") == 2


def test_a_hopeless_trial_is_stopped(sweep: Command, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    # The sampler's seed gives the first five trials, which are never stopped, the good rate, and the sixth the bad one.
    typed = (
        OPTUNA, "optimizer.lr=0.05,1e-12", "seed=range(100)", "trainer.max_epochs=30", "hydra.launcher.jobs=1",
        "hydra.sweeper.sampler=random", "hydra.sweeper.seed=180", "hydra.sweeper.prune=true",
    )  # fmt: skip
    done = sweep(*typed, "hydra.sweeper.n_trials=7")
    assert done.returncode == 0, done.stdout + done.stderr
    found = results(folder)
    statuses = {name: result["status"] for name, result in found.items()}
    hopeless = [name for name in found if "lr1e-12" in name]
    assert [name for name, status in statuses.items() if status == "pruned"] == hopeless
    (name,) = hopeless
    assert name.startswith("5-")
    assert found[name]["error"].startswith("stopped after epoch ")
    lengths = [len((folder / job / "metrics.csv").read_text()) for job in (name, "0-lr0.05-s69")]
    assert lengths[0] < lengths[1]
    assert trials_of(folder)[5].state == TrialState.PRUNED
    assert counted(done.stdout).endswith(": 6 ok, 1 pruned")
    assert f"6/7  {name}  pruned  stopped after epoch" in done.stdout
    assert "7 jobs: 6 ok, 1 pruned." in (folder / "summary.md").read_text()
    # Each epoch of the others was reported.
    assert [*trials_of(folder)[6].intermediate_values] == [*range(1, 31)]
    # It has ended, unless it is asked for again.
    assert "7 trials, 0 to run" in sweep(*typed, "hydra.sweeper.n_trials=7").stdout
    assert results(folder)[name] == found[name]
    again = sweep(*typed, "hydra.sweeper.n_trials=7", "sweep.retry=pruned")
    assert "8 trials, 1 to run, 7 done before" in again.stdout
    assert trials_of(folder)[7].params == trials_of(folder)[5].params
    assert sorted(jobs_of(folder)) == [0, 1, 2, 3, 4, 6, 7]


def test_several_objectives(sweep: Command, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    both = "sweep.objective=[metrics.val/loss,metrics.train/loss]"
    done = sweep(
        *SHORT,
        OPTUNA,
        RATE,
        both,
        "hydra.sweeper.direction=[minimize,maximize]",
        "hydra.sweeper.n_trials=6",
        "hydra.sweeper.sampler=nsga2",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = {trial.number: tuple(trial.values) for trial in trials_of(folder)}
    found, jobs = results(folder), jobs_of(folder)
    assert told == {
        number: (found[job["name"]]["metrics"]["val/loss"], found[job["name"]]["metrics"]["train/loss"])
        for number, job in jobs.items()
    }
    beaten = {
        a for a, (low, high) in told.items() for b, (lower, higher) in told.items()
        if lower <= low and higher >= high and told[a] != told[b]
    }  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith("best: ")]
    assert {int(line.split()[2].rstrip(",")) for line in lines} == {*told} - beaten
    assert all(" metrics.train/loss " in line for line in lines)
    # Each line of the course has both.
    assert all(" val/loss " in line and ", train/loss " in line for line in done.stdout.splitlines()[1:7])
    trials = f"{len(lines)} trial{'s' * (len(lines) > 1)} on the front: no other is as good in metrics.val/loss and "
    assert f"{trials}metrics.train/loss, and better in one of them\n" in done.stdout
    alone = [line for line in done.stdout.splitlines() if line.startswith("alone: ")]
    assert len(alone) == len(lines)
    assert all("python train.py data=xor" in line for line in alone)


def test_what_was_run_before_is_told_again(sweep: Command, tmp_path: Path) -> None:
    """Six trials of two configurations are two jobs. One of them diverges, which counts as failed."""
    folder = tmp_path / "sweep"
    done = sweep(*SHORT, OPTUNA, "optimizer.lr=0.01,1e30", "hydra.sweeper.n_trials=6", "hydra.sweeper.sampler=random")
    assert done.returncode == 0, done.stdout + done.stderr
    found, jobs, told = results(folder), jobs_of(folder), trials_of(folder)
    assert sorted(result["status"] for result in found.values()) == ["diverged", "ok"]
    assert len(jobs) == 2
    assert len(told) == 6
    for trial in told:
        result = found[trial.user_attrs["job"]]
        good = trial.params["optimizer.lr"] == "0.01"
        assert trial.state == (TrialState.COMPLETE if good else TrialState.FAIL)
        assert trial.values == ([result["metrics"]["val/loss"]] if good else None)
    assert times_told(folder) == dict.fromkeys(range(6), 1)
    assert counted(done.stdout).endswith(": 6 trials, 2 jobs: 1 ok, 1 diverged")
    # Two jobs were begun, between the first line, the counts, the best trial's two and where to look further.
    assert len(done.stdout.splitlines()) == 8


def test_a_trial_whose_option_file_changed_is_proposed_again(begin: Start, sweep: Command, tmp_path: Path) -> None:
    option = tmp_path / "options/activation/own.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("_target_: torch.nn.LeakyReLU\nnegative_slope: 0.1\n")
    folder = tmp_path / "sweep"
    typed = (
        "activation=own",
        "--config-dir",
        str(tmp_path / "options"),
        OPTUNA,
        RATE,
        "hydra.sweeper.n_trials=2",
        "trainer.max_epochs=100",
        "hydra.launcher.jobs=1",
    )
    process = begin(*typed)
    wait_until(lambda: [*folder.glob("0-*/checkpoints/last.ckpt")])
    process.kill()
    process.communicate()
    option.write_text("_target_: torch.nn.LeakyReLU\nnegative_slope: 0.4\n")
    done = sweep(*typed)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = trials_of(folder)
    assert (first.state, second.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert first.params == second.params
    assert [*jobs_of(folder)] == [1]
    assert f"--config-dir={tmp_path / 'options'}" in pointer(done.stdout, "alone")


def test_a_trial_that_diverges_is_not_called_hopeless(sweep: Command, tmp_path: Path) -> None:
    """Its validation is NaN from the first epoch on, while others are compared epoch by epoch."""
    typed = ("optimizer.lr=choice(0.1,0.2,1e29,1e30)", "seed=int(interval(0,9))")
    prune = ("hydra.sweeper.prune=true", "hydra.sweeper.warmup=0", "hydra.sweeper.n_trials=8", "trainer.max_epochs=6")
    done = sweep(OPTUNA, *typed, *prune)
    assert (done.returncode, done.stderr) == (0, "")
    found = results(tmp_path / "sweep")
    status: dict[bool, set[str]] = {True: set(), False: set()}
    for job in jobs_of(tmp_path / "sweep").values():
        status[float(job["varied"]["optimizer.lr"]) > 1].add(found[job["name"]]["status"])
    assert status[True] == {"diverged"}
    assert status[False] <= {"ok", "pruned"}


def test_no_number_to_look_at(sweep: Command, project: Path, tmp_path: Path) -> None:
    """Data of the user's tell only in the first trial that they are of a regression."""
    (tmp_path / "mylab").mkdir()
    code = (
        "from gradpath.data.sine import sine\n"
        "def own(steps_per_epoch, batch_size, seed=0):\n    return sine(200, 0.05, 0, batch_size, seed=seed)\n"
    )
    (tmp_path / "mylab/__init__.py").write_text(code)
    option = tmp_path / "options/data/own.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("_target_: mylab.own\nsteps_per_epoch: 5\nbatch_size: 16\nepochs: 1\n")
    variables = {"GRADPATH_PACKAGES": "mylab", "PYTHONPATH": os.pathsep.join([str(project / "src"), str(tmp_path)])}
    looks = "sweep.objective=metrics.val/accuracy"
    done = sweep(
        OPTUNA, RATE, "--config-dir", str(tmp_path / "options"), "data=own", looks, "hydra.launcher.jobs=1",
        "hydra.sweeper.n_trials=5", *SHORT[:1], fresh=True, **variables,
    )  # fmt: skip
    assert "no number metrics.val/accuracy in its result.json" in done.stdout
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert [trial.state for trial in trials_of(tmp_path / "sweep")] == [TrialState.FAIL]


def test_a_number_that_a_trial_has_not(sweep: Command, tmp_path: Path) -> None:
    """A network of one hidden layer has no ratio; others have."""
    ratio = ("sweep.objective=verdict.ratio", "hydra.sweeper.direction=maximize", "hydra.sweeper.n_trials=3")
    done = sweep(*SHORT, OPTUNA, RATE, "model.hidden=[4]", *ratio, "hydra.launcher.jobs=1")
    assert (done.returncode, done.stdout.count("no number verdict.ratio")) == (1, 3)


WRONG = {
    "seed=0": "nothing to choose",
    f"{RATE} hydra.sweeper.n_trials=0": "hydra.sweeper.n_trials=0: must be at least 1",
    f"{RATE} hydra.sweeper.n_trials=1.5": "must be a whole number",
    f"{RATE} hydra.sweeper.trials=3": "trials",
    f"{RATE} hydra.sweeper.direction=up": "hydra.sweeper.direction=up: must be auto, minimize, maximize or a list of them.",
    f"{RATE} hydra.sweeper.direction=max": "minimize, maximize or a list of them. Did you mean maximize?",
    f"{RATE} hydra.sweeper.direction=[minimize,maximize]": "write one for each sweep.objective; there are 1",
    f"{RATE} sweep.objective=verdict.ratio": "write minimize or maximize for sweep.objective=verdict.ratio",
    f"{RATE} sweep.objective=[]": "an empty list",
    f"{RATE} sweep.objective=metrics.val/acuracy": "no number of result.json. Did you mean metrics.val/accuracy?",
    f"{RATE} sweep.objective=val/loss": "Did you mean metrics.val/loss? There are metrics.val/loss, ",
    f"{RATE} sweep.objective=[verdict.ratios,seed]": "=verdict.ratios: no number of result.json. Did you",
    f"{RATE} sweep.objective=metrics.val/mae": "There are metrics.val/loss, metrics.val/accuracy, ",
    f"{RATE} hydra.sweeper.sampler=best": "hydra.sweeper.sampler=best: must be",
    f"{RATE} hydra.sweeper.seed=-1": "must be at least 0",
    f"{RATE} hydra.sweeper.prune=maybe": "must be true or false",
    f"{RATE} hydra.sweeper.warmup=-1": "must be at least 0",
    f"{RATE} hydra.sweeper.prune=true sweep.objective=metrics.test/loss": "is known at a job's end only",
    f"{RATE} hydra.sweeper.prune=true sweep.objective=[metrics.val/loss,metrics.val/accuracy]": "only with one",
    f"{RATE} hydra.sweeper.prune=true hydra/launcher=basic": "cannot stop a job",
    f"{RATE} sweep.join=true": "sweep.join=true: only for a grid",
    f"{RATE} seed=0,1 sweep.zip=[seed,optimizer.lr]": "sweep.zip: only for a grid",
    f"{RATE} sweep.resume=true": "there is no sweep in",
    f"{RATE} activation=relu,tanhh": "activation=tanhh: no such option. Did you mean tanh?",
    f"{RATE} activation=interval(0,1)": "activation=0.0: no such option",
    "optimizer.rate=interval(0,1)": "Did you mean optimizer.lr?",
    "optimizer.lr=interval(-1,1)": "optimizer.lr=-1.0: must be greater than 0",
    "optimizer.lr=tag(log,interval(0,1))": "begins above 0",
    "data.batch_size=interval(1,4)": "data.batch_size: must be a whole number; write data.batch_size=int(interval(1,4)).",
    "seed=tag(log,interval(1,5))": "write seed=tag(log,int(interval(1,5))).",
    "data.batch_size=int(interval(0,4))": "data.batch_size=0: must be at least 1",
    "data.batch_size=range(1,300) norm=none,batch_before": "BatchNorm needs at least 2 samples",
    f"{RATE} hydra.verbose=true": "takes our own launchers",
}


@pytest.mark.parametrize("typed", WRONG)
def test_wrong_input(typed: str, before_torch: Command, tmp_path: Path) -> None:
    done = before_torch("train.py", "-m", *TINY, OPTUNA, *typed.split(), f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert WRONG[typed] in done.stderr
    assert not [*tmp_path.iterdir()]


def test_an_interval_is_for_a_search(before_torch: Command) -> None:
    for more in ((), ("-m",)):
        done = before_torch("train.py", *more, *TINY, RATE)
        assert (done.returncode, "write the values out" in done.stderr) == (2, True)
    shown = before_torch("train.py", "-m", *TINY, OPTUNA, RATE, "activation=relu,elu", "sweep.dry_run=true")
    assert shown.stdout.splitlines() == ["optimizer.lr: 0.001 to 0.1, logarithmic", "activation: relu elu", "20 trials"]
