"""A mistake in how a sweep is typed: one line, before torch is loaded, and nothing is written."""

from pathlib import Path

import pytest

from conftest import Command, tree

ROWS = [
    ("sweep.nam=x", "sweep.nam=x: sweep has no such key. Did you mean sweep.name?"),
    ("sweep.name=../x", "sweep.name=../x: must be a folder's name of at most 100 letters, digits, - _ and . alone."),
    ("sweep.name='a,b'", "sweep.name=a,b: must be a folder's name of at most 100 letters"),
    ("sweep.name='é'", "must be a folder's name of at most 100 letters"),
    ("sweep.name=..", "sweep.name=..: must be a folder's name of at most 100 letters"),
    ("sweep.name=a,b", "sweep.name=a,b: one value for the whole sweep"),
    ("sweep.retry=all", "sweep.retry=all: must be failed, pruned or null."),
    ("sweep.retry=true", "sweep.retry=true: must be failed, pruned or null."),
    ("sweep=foo", "sweep=foo: a group of keys; set one of sweep.name, sweep.resume, "),
    ("sweep.foo=1", "sweep.foo=1: sweep has no such key. Its keys: "),
    ("sweep.zip=seed", "sweep.zip=seed: must be a list of words, such as [a,b]."),
    ("sweep.zip=[seed]", "sweep.zip=[seed]: must be at least two keys, which change together."),
    ("sweep.zip=[seed,seed]", "sweep.zip=[seed,seed]: names a key twice."),
    ("sweep.zip=[seed,data] sweep.zip=[seed,activation]", "sweep.zip=[seed,activation]: sweep.zip is there twice;"),
    ("sweep.zip=[seed,activation]", "sweep.zip: activation is given no values in this sweep; write several."),
    ("activation=relu sweep.zip=[seed,activation]", "sweep.zip: activation has a single value in this sweep;"),
    ("sweep.zip=[seed,model.depth]", "sweep.zip: model.depth: model=mlp has no such key. It belongs to model=deep."),
    ("sweep.zip=[sed,activation]", "sweep.zip: sed: no such group or key. Did you mean seed?"),
    ("sweep.limit=1", "sweep.limit=1: the sweep has 2 jobs, each a run; write sweep.limit=2."),
    ("seed=range(0,9,0)", "seed=range(0,9,0): range takes finite numbers, and a step other than 0."),
    ("seed=range(nan,9)", "seed=range(nan,9): range takes finite numbers, and a step other than 0."),
    ("sweep.limit=0", "sweep.limit=0: must be at least 1."),
    ("sweep.resume=true", "sweep.resume=true: no sweep in"),
    ("sweep.join=true sweep.name=nobodys", "sweep.join=true: there is no sweep in logs/sweeps/nobodys."),
    ("sweep.resume=true sweep.name=nobodys", "sweep.resume=true: there is no sweep in logs/sweeps/nobodys."),
    ("sweep.dry_run=true sweep.resume=true sweep.name=nobodys", "there is no sweep in logs/sweeps/nobodys."),
    ("sweep.dry_run=true sweep.join=true sweep.name=nobodys", "there is no sweep in logs/sweeps/nobodys."),
    ("sweep.dry_run=true sweep.resume=true", "sweep.resume=true: no sweep in"),
    ("sweep.dry_run=true hydra.sweep.dir=conf", "conf: holds files but no sweep.yaml; choose another name."),
    ("sweep.name=a hydra.sweep.dir=b", "sweep.name=a and hydra.sweep.dir=b both say where the sweep is; leave one out."),
    ("+sweep.name=x", "+sweep.name=x: no + is needed; write sweep.name=x."),
    ("hydra.launcher.jobs=0", "hydra.launcher.jobs=0: must be auto or a whole number from 1 to 1000."),
    ("hydra.launcher.jobs=1,2", "hydra.launcher.jobs=1,2: one value for the whole sweep."),
    ("hydra.launcher.job=2", "hydra/launcher=local has no such key. Did you mean hydra.launcher.jobs? Its keys: hydra."),
    (
        "hydra/launcher=ray hydra.launcher.adress=x",
        "hydra/launcher=ray has no such key. Did you mean hydra.launcher.address?",
    ),
    ("hydra/sweeper=optuna hydra.sweeper.n_trial=9", "=optuna has no such key. Did you mean hydra.sweeper.n_trials?"),
    ("hydra.sweep.dri=x", "hydra.sweep.dri=x: hydra.sweep has no such key. Did you mean hydra.sweep.dir? Its keys: hydra."),
    ("hydra.swep.dir=x", "hydra.swep.dir=x: hydra has no such key. Did you mean hydra.sweep?"),
    ("activation=[relu,tanh]", "one option, not a list. Several are a sweep: -m activation=relu,tanh."),
    ("data.batch_size=[2,4]", "must be a whole number. Several values are a sweep: -m data.batch_size=2,4."),
    ("model.hidden=[[4],[8]]", "model.hidden=[[4],[8]]: must be a list of whole numbers"),
    ("hydra/launcher=slurm", "hydra/launcher=slurm: there is no Slurm on this machine"),
    ("hydra/launcher=slurm hydra.launcher.cluster=pbs", "hydra.launcher.cluster=pbs: must be slurm or local."),
    ("hydra/launcher=ray hydra.launcher.threads=0", "hydra.launcher.threads=0: must be auto or a whole number, at least 1."),
    ("hydra/launcher=ray hydra.launcher.address=wrong", "address=wrong: must be auto, host:port or ray://host:port."),
    ("hydra/launcher=ray hydra.launcher.address=127.0.0.1:1", "127.0.0.1:1: there is no Ray cluster (Connection refused)."),
    ("hydra/launcher=ray hydra.launcher.address=ray://no.where:1", "address=ray://no.where:1: there is no Ray cluster ("),
    ("hydra/launcher=joblib", "hydra/launcher=joblib: no such option. There are basic, local, ray, slurm."),
    ("hydra/launcher=slurmm", "hydra/launcher=slurmm: no such option. Did you mean slurm? There are basic, local, ray,"),
    ("hydra/sweeper=optunaa", "hydra/sweeper=optunaa: no such option. Did you mean optuna? There are "),
    ("hydra/lancher=local", "hydra/lancher=local: no such group. Did you mean hydra/launcher? There are "),
    ("--mutlirun", "unrecognized arguments: --mutlirun. Did you mean --multirun? python train.py --help lists the"),
    ("hydra.launcher=slurm", "hydra.launcher=slurm: an option is chosen with a slash; write hydra/launcher=slurm."),
    ("hydra.launcher=slurmm", "an option is chosen with a slash; write hydra/launcher=slurm."),
    ("hydra.sweeper=optuna", "hydra.sweeper=optuna: an option is chosen with a slash; write hydra/sweeper=optuna."),
    ("hydra.sweeper=[1]", "hydra.sweeper=[1]: an option is chosen with a slash; write hydra/sweeper=basic or "),
    ("hydra.sweep=foo", "hydra.sweep=foo: a group of keys, such as hydra.sweep.dir."),
    ("hydra.job.env_set=3", "hydra.job.env_set=3: a group of keys, such as hydra.job.env_set.NAME."),
    ("hydra.sweeper.params=3", "hydra.sweeper.params=3: Cannot assign int to Dict"),
    ("hydra/sweeper=optuna hydra.sweeper.params=3", "hydra.sweeper.params=3: must be a group of keys"),
    ("hydra.sweep.subdir=foo", "hydra.sweep.subdir=foo: has no effect here; a job's folder is named by what differs, the"),
    ("hydra.job.name=foo", "hydra.job.name=foo: has no effect here; a job's folder is named by what differs, the sweep's"),
    ("fail_fast=true", "Did you mean sweep.fail_fast?"),
    ("trainer.fail_fast=true", "Did you mean sweep.fail_fast?"),
    ("launcher=slurm", "Did you mean hydra/launcher=slurm?"),
    ("sweeper=optuna", "Did you mean hydra/sweeper=optuna?"),
    ("launcher.jobs=2", "Did you mean hydra.launcher.jobs?"),
    ("n_trials=3", "Did you mean hydra.sweeper.n_trials, a key of hydra/sweeper=optuna?"),
    ("hydra.sweeper.n_trials=3", "hydra/sweeper=basic has no such key. It belongs to hydra/sweeper=optuna. Its keys: "),
    ("hydra.launcher.address=foo", "hydra/launcher=local has no such key. It belongs to hydra/launcher=ray. Its keys: "),
    ("+foo=1,2", "foo=1,2: no such group or key. There are "),
    ("hydra.job.chdir=true", "hydra.callbacks, hydra.job.chdir and Hydra's logging: add hydra/launcher=basic."),
    ("optimizer.lr=0.1,-1", "optimizer.lr=-1: must be greater than 0."),
    ("loss=auto,huber", "loss=huber: for regression data, but this data is multiclass; use loss=auto (CrossEntropyLoss)."),
    ("loss=auto,huber sweep.dry_run=true", "loss=huber: for regression data, but this data is multiclass;"),
    ("loss=auto,huber hydra/sweeper=optuna", "loss=huber: for regression data, but this data is multiclass;"),
    ("data=sine,xor loss=mse,bce_with_logits", "loss=bce_with_logits: for binary data, but this data is regression; use"),
    ("data=xor model.output=none,sigmoid", "model.output=sigmoid: BCEWithLogitsLoss applies the sigmoid itself, twice"),
    ("data=mnist,xor loss=mse model.output=softmax", "model.output=softmax: of one output it is always 1; use model.output"),
    ("activation=relu,reluu", "activation=reluu: no such option. Did you mean relu?"),
]


@pytest.mark.parametrize(("typed", "message"), ROWS)
def test_one_line(typed: str, message: str, before_torch: Command, project: Path) -> None:
    before = tree(project)
    done = before_torch("train.py", "-m", "seed=98,99", *typed.split())
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert message in done.stderr
    assert tree(project) == before


def test_a_single_job_is_said_to_be_a_run(command: Command, project: Path) -> None:
    before = {*(project / "logs/runs").glob("*/*")}
    small = ("data=xor", "model=two_layer", "trainer=cpu", "trainer.max_epochs=1")
    done = command("train.py", "-m", *small)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("-m with a single job is a run; several values of a key, as in seed=0,1, or sweep.name=")
    assert len({*(project / "logs/runs").glob("*/*")} - before) == 1


@pytest.mark.parametrize("typed", ["hydra/sweeper=optuna", "hydra/launcher=basic", "hydra.launcher.jobs=2"])
def test_what_says_how_a_sweep_is_made_without_m(typed: str, before_torch: Command, project: Path) -> None:
    before = tree(project)
    done = before_torch("train.py", "data=xor", typed)
    assert (done.returncode, done.stderr) == (2, f"error: {typed}: belongs to a sweep: add -m.\n")
    assert tree(project) == before


def test_settings_of_a_sweep_without_m(before_torch: Command) -> None:
    done = before_torch("train.py", "sweep.name=x")
    assert (done.returncode, done.stderr) == (2, "error: sweep.name=x: belongs to a sweep: add -m.\n")
    done = before_torch("train.py", "sweep.nam=x")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(
        "error: sweep.nam=x: sweep has no such key. Did you mean sweep.name? Its keys: sweep.name,"
    )


@pytest.mark.parametrize(
    ("typed", "both"),
    [
        ("seed=0 seed=1", "seed=0,1"),
        ("activation=relu activation=tanh", "activation=relu,tanh"),
        ("model.hidden=[4] model.hidden=[8]", "model.hidden=[4],[8]"),
    ],
)
def test_a_key_twice_where_a_sweep_is_meant(typed: str, both: str, before_torch: Command) -> None:
    done = before_torch("train.py", "-m", *typed.split())
    assert (done.returncode, done.stderr) == (2, f"error: {typed}: a key twice; to run both, write {both}.\n")


def test_a_ray_cluster_that_has_ended(command: Command, tmp_path: Path) -> None:
    """Ray leaves its address, and tries it for minutes."""
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray/ray_current_cluster").write_text("127.0.0.1:1\n")
    done = command(
        "train.py", "-m", "seed=0,1", "hydra/launcher=ray", "hydra.launcher.address=auto", RAY_TMPDIR=str(tmp_path)
    )
    said = "error: hydra.launcher.address=auto: there is no Ray cluster at 127.0.0.1:1 (Connection refused).\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
