"""Every mistake that is typed gives one line that names the key and what is allowed, exit code 2, and no new file."""

from pathlib import Path

import pytest

from commands import refuse
from conftest import tree

# A mistake that is found before torch is loaded has a test below that starts an interpreter.
pytestmark = pytest.mark.forked

# Each command line, and what its error line must say.
KNOWN_BEFORE_TORCH = [
    # Groups and options
    ("activation=reluu", "activation=reluu: no such option. Did you mean relu?"),
    ("activation=", "activation=: no such option."),
    ("optimzer=adam", "optimzer=adam: no such group or key. Did you mean optimizer?"),
    ("optimizer=adm", "Did you mean adam?"),
    ("init=kaiming", "init=kaiming: no such option. There are constant, critical"),
    ("norm=off", "norm=off: no such option. There are batch_after"),
    ("experiment=vanishing", "Did you mean vanishing_sigmoid?"),
    ("data=mnsit", "Did you mean mnist?"),
    ("trainer=cuda", "trainer=cuda: no such option."),
    ("loss=crossentropy", "Did you mean cross_entropy?"),
    # Keys
    ("model.widht=3", "model=mlp has no such key. Did you mean model.width, a key of model=deep?"),
    ("model.hiden=[3]", "Did you mean model.hidden?"),
    ("model.depth=5", "It belongs to model=deep."),
    ("optimizer.momentum=0.9", "optimizer=adam has no such key. It belongs to"),
    ("optimizer=sgd optimizer.betas=[0.9,0.99]", "optimizer=sgd has no such key."),
    ("optim.lr=0.1", "optim.lr=0.1: no such group or key. Did you mean optimizer.lr?"),
    ("lr=0.1", "lr=0.1: no such group or key. Did you mean optimizer.lr?"),
    ("sed=1", "Did you mean seed?"),
    ("+model.widht=3", "model.widht=3: model=mlp has no such key. Did you mean model.width, a key of model=deep?"),
    ("++seed=3", "++seed=3: no + is needed; write seed=3."),
    ("~activation", "cannot be removed"),
    ("model=3", "model=3: no such option."),
    ("model.hidden.first=3", "has no such key."),
    ("norm.layer=3", "norm.layer=3: must be a group of keys or null"),
    ("experiment=chapter_challenge optimizer=sgd activation=tanhh", "Did you mean tanh?"),
    ("experiment=xor model=perceptron", "model.hidden=[8]: model=perceptron has no hidden layer; use model=mlp."),
    ("model=two_layer model.hidden=[8,8]", "model=two_layer has one hidden layer; use model=mlp."),
    ("experiment=xor model=perceptron model.depth=2", "It belongs to model=deep."),
    ("experiment=vanishing_sigmoid model=mlp", "set by the experiment, but model=mlp has no such key."),
    # Types
    ("optimizer.lr=fast", "optimizer.lr=fast: must be a number."),
    ("seed=one", "seed=one: must be a whole number."),
    ("model.hidden=64", "model.hidden=64: must be a list of whole numbers, such as [64,64]."),
    ("model.hidden=[64,wide]", "must be a list of whole numbers"),
    ("optimizer.betas=0.9", "optimizer.betas=0.9: must be a list of 2 numbers"),
    ("trainer.deterministic=maybe", "trainer.deterministic=maybe: must be true or false."),
    ("data.limit=all", "data.limit=all: must be a whole number or null."),
    ("trainer.max_epochs=null", "trainer.max_epochs=null: must be a whole number."),
    # Ranges
    ("optimizer.lr=-1", "optimizer.lr=-1: must be greater than 0."),
    ("optimizer.lr=nan", "optimizer.lr=nan: must be greater than 0."),
    ("model.hidden=[0]", "model.hidden=[0]: each value must be at least 1."),
    ("seed=-1", "seed=-1: must be at least 0."),
    ("data.batch_size=0", "data.batch_size=0: must be at least 1."),
    ("trainer.max_epochs=0", "trainer.max_epochs=0: must be at least 1."),
    ("optimizer.betas=[0.9,1.5]", "each value must be less than 1."),
    ("probe.every=0", "probe.every=0: must be at least 1."),
    ("trainer.accelerator=gpuu", "must be auto, cpu, gpu, cuda or mps. Did you mean gpu?"),
    ("trainer.devices=0", "trainer.devices=0: must be at least 1, or -1 for all GPUs there are."),
    (f"model.hidden=[{'9' * 20}]", "each value must be at most 1000000000."),
    (f"data.batch_size={'9' * 23}", "must be at most 1000000000."),
    (f"trainer.accumulate_grad_batches={'9' * 20}", "must be at most 1000000000."),
    ("trainer.devices=1025", "trainer.devices=1025: must be at most 1024."),
    ("model=deep model.depth=1000000000", "model.depth=1000000000: must be at most 10000."),
    ("optimizer.lr=1e300", "optimizer.lr=1e+300: must be at most 1e+30."),
    ("seed=${data}", "seed: must not be a group of keys here."),
    ("seed=${project:}", "seed=${project:}: cannot be computed: it lacks 1 required positional argument: 'folder'."),
    ("seed=${hydra:job.num}", "seed=${hydra:job.num}: cannot be computed: Hydra's own values are not known yet."),
    (
        "norm.layer={_target_:torch.nn.LayerNorm} norm.placement=before",
        "norm.layer: must not be a group of keys here; choose another option of norm, or write one.",
    ),
    ("hydra.verbose=5", "hydra.verbose=5: Hydra cannot use it (AssertionError)."),
    ("--shell-completion query=bash", "--shell-completion: Hydra cannot use it (KeyError: 'COMP_LINE')."),
    ("--cfg job --package nope", "--cfg job: package 'nope' not found in config."),
    ("--cfg hydra --resolve", "--cfg all --resolve shows both parts."),
    ("hydra.job.env_set={A=B:1}", "hydra.job.env_set"),
    ("optimizer.lr=1e400", "optimizer.lr=inf: must be a finite number."),
    ("trainer.precision=16", "trainer.precision=16: must be 32-true,"),
    ("trainer.limit_val_batches=0", "must be greater than 0."),
    ("activation=ReLU", "Did you mean relu?"),
    ("activation=\u00fcber", "put other characters in quotes"),
    ("model.hidden=[64,null]", "model.hidden=[64,null]: must be a list of whole numbers"),
    ("--unknown", "unrecognized arguments: --unknown; python train.py --help lists the options."),
    ("-m seed=1,2 hydra.run.dir=logs/x", "its folder is hydra.sweep.dir."),
    ("-m resume=last", "resume=last: continues one run; leave out -m."),
    ("schedule=step schedule.gamma=2", "schedule.gamma=2: must be at most 1."),
    # Combinations
    ("norm=batch_before data.batch_size=1", "BatchNorm needs at least 2 samples"),
    ("trainer=ddp norm=batch_after data.batch_size=2", "BatchNorm needs at least 2 samples"),
    ("trainer=ddp data.batch_size=127", "must be a multiple of the 2 processes"),
    ("model.output=softmax loss=cross_entropy", "use model.output=none."),
    ("activation._target_=os.system", "must be a module of torch.nn, or a function of torch on tensors."),
    ("norm.placement=before", "norm.placement=before: nothing to place; use norm=batch_before."),
    ("norm=batch_after norm.placement=none", "norm.placement=none: norm.layer says what to place; use norm=none."),
    ("norm=batch_after norm.layer.eps=0", "norm.layer.eps=0: must be greater than 0."),
    # Hydra's grammar, sweeps, resuming
    ("hydra.sweep=foo", "hydra.sweep=foo: a group of keys, such as hydra.sweep.dir."),
    ("hydra.run=3", "hydra.run=3: a group of keys, such as hydra.run.dir."),
    ("hydra.job.config=3", "hydra.job.config=3: a group of keys, such as hydra.job.config.override_dirname."),
    ("hydra.launcher=null", "hydra.launcher=null: an option is chosen with a slash; write hydra/launcher=basic, "),
    ("hydra/launcher=null", "hydra/launcher=null: no such option. There are basic, local, ray, slurm."),
    ("hydra.job.name=foo", "hydra.job.name=foo: has no effect here; the folder of a run is hydra.run.dir=."),
    ("hydra.sweep.dir=logs/x", "hydra.sweep.dir=logs/x: has no effect here; the folder of a run is hydra.run.dir=."),
    ("--seed=0,1", "--seed=0,1: no dashes before a key; write seed=0,1."),
    ("-activation", "-activation: no dashes before a key; write activation=VALUE."),
    ("-multirun seed=0", "-multirun: not understood. Did you mean --multirun?"),
    ("init=hee", "init=hee: no such option. Did you mean he_normal or he_uniform?"),
    ("seed=true", "seed=true: must be a whole number."),
    ("probe.every=often", "probe.every=often: must be a whole number, auto or null."),
    ("hydra=null", "hydra=null: a group of keys, such as hydra.run.dir."),
    ("hydra.sweeper.params={seed:x}", "hydra.sweeper.params={seed:x}: "),
    ("--shell-completion foo=1", "Expecting one subcommand"),
    ("-m seed=range(0,0)", "seed=range(0,0): there is no such value."),
    ("-m seed=range(0,1000000000000)", "seed=range(0,1000000000000): more than 10000 values; each is a run."),
    ("-m activation=glob(zz*)", "activation=glob(zz*): there is no such value."),
    ("-m seed=glob(*)", "seed=glob(*): there is no such value."),
    ("resume=~nosuchuser/x", "resume=~nosuchuser/x: Could not determine home directory."),
    (f"seed={'9' * 5000}", "9999: a number of more than 999 digits."),
    (f"optimizer.lr=0.{'1' * 120_000}", "1111: a number of more than 999 digits."),
    (f"optimizer.lr={'1' * 400}", "1111: must be a finite number."),
    ("optimizer.lr=${.eps}", "optimizer.lr=${.eps}: TypeError raised while resolving interpolation"),
    ("activation@model=relu", "activation@model=relu: a group has one place; write it without @model."),
    ("seed=\x1b[2J", "seed=\\x1b[2J: not understood"),
    ("model.hidden=[64", "model.hidden=[64: not understood; a [ is not closed by ]; write model.hidden=[64]."),
    ("seed=range(5))", "seed=range(5)): not understood; a ) closes nothing."),
    ("seed=rnage(5)", "seed=rnage(5): there is no function rnage. Did you mean range?"),
    ("activation", "activation: write it as key=value."),
    ("activation=relu,tanh", "several values are a sweep: add -m. A list is written [a,b].\n"),
    ("-m activation=relu,tanhh", "Did you mean tanh?"),
    ("-m optimizer.lr=0.1,-0.1", "optimizer.lr=-0.1: must be greater than 0."),
    ("-m optimizer.lr=interval(0,1)", "write the values out"),
    ("resume=logs/nowhere", "resume=logs/nowhere: not the folder of a run"),
    ("--config-dir nowhere", "--config-dir nowhere: no such folder."),
    ("--config-name other", "there is one configuration, conf/"),
    ("--experimental-rerun x", "write resume=FOLDER"),
    ("--cfg job -m seed=0,1", "Only one of --run, --multirun"),
    ("allowed_targets=[]", "no such group or key"),
    (
        "+hydra.callbacks.a._target_=os.system",
        "must be from hydra._internal, hydra.experimental.callbacks or",
    ),
    ("+hydra.job.env_set.GRADPATH_PACKAGES=torch", "hydra.job.env_set: GRADPATH_PACKAGES is for you to set, in the shell."),
    ("-m experiment=null,xor", "experiment=null: no such option."),
    ("~experiment=null", "~experiment=null: keys cannot be removed"),
    ("hydra.searchpath=[pkg://attack]", "add folders with --config-dir"),
    ("optimizer.betas={a:1}", "optimizer.betas={a:1}: "),
    ("hydra.job.env_copy=[NO_SUCH_VARIABLE]", "there is no variable 'NO_SUCH_VARIABLE'"),
]


@pytest.mark.parametrize(("line", "message"), KNOWN_BEFORE_TORCH, ids=lambda text: text[:40])
def test_known_before_torch(line: str, message: str, before_torch, project: Path) -> None:
    # An import of torch would end the command with another message than the one expected.
    before = tree(project)
    refuse(before_torch("train.py", *line.split(" ")), message)
    assert tree(project) == before


def test_known_before_torch_in_a_fresh_process(before_torch, project: Path) -> None:
    before = tree(project)
    refuse(before_torch("train.py", "activation=reluu", fresh=True), "Did you mean relu?")
    assert tree(project) == before


KNOWN_AFTER_TORCH = [
    ("trainer=gpu", "trainer: No supported gpu backend found"),
    ("trainer.strategy=nonsense", "trainer: "),
    ("trainer=cpu trainer.devices=-1", "trainer.devices=-1: all GPUs, but this run is on the CPU"),
    ("trainer=cpu trainer.devices=999 data.batch_size=999", "trainer.devices=999: more processes than this machine's"),
    ("data=gaussian data.samples=1000000000 data.features=1000000000", "GB of memory at once"),
    ("data=sine loss=cross_entropy", "loss=cross_entropy: for multiclass data, but this data is regression; use loss=auto"),
    ("model.output=softmax", "twice flattens the gradient; use model.output=none."),
    ("activation._target_=torch.nn.ReLUU", "torch.nn has no ReLUU"),
    ("activation._target_=torch.os.system", "must be a module of torch.nn, or a function of torch on tensors."),
    ("data.dataset=CIFAR10", "must be MNIST, FashionMNIST or KMNIST"),
    ("model.hidden=[1000000000,1000000000]", "too large for this machine"),
    ("activation._target_=torch.matmul", "activation: matmul()"),
    ("data=xor model.output=softmax", "of one output it is always 1"),
    ("data.validation=70000", "data.validation=70000: must be less than the 60000"),
    ("data=fashion_mnist", "FashionMNIST cannot be read"),
    ("init=critical activation._target_=torch.sign model=deep", "init=critical: the gradient vanishes at any"),
]


@pytest.mark.parametrize(("line", "message"), KNOWN_AFTER_TORCH, ids=lambda text: text[:40])
def test_known_after_torch(line: str, message: str, command, project: Path) -> None:
    before = tree(project)
    done = command("train.py", *line.split(" "))
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert tree(project) == before


def test_a_mistake_in_one_job_of_a_sweep_is_found_before_the_first_begins(command, project: Path) -> None:
    done = command(
        "train.py", "-m", "data=sine", "data.epochs=1", "trainer.accelerator=cpu", "loss=mse,cross_entropy,huber",
        "hydra.sweep.dir=logs/sweeps/mixed",
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "loss=cross_entropy: for multiclass data, but this data is regression" in done.stderr
    assert not (project / "logs/sweeps/mixed").exists()


@pytest.mark.parametrize(
    ("script", "argument", "message"),
    [
        ("evaluate.py", "", "no run given: write run=FOLDER, or run=last for the newest."),
        ("evaluate.py", "runn=last", "runn=last: evaluate.py has no such key. Did you mean run?"),
        ("evaluate.py", "run=nowhere", "run=nowhere: not the folder of a run"),
        ("benchmark.py", "pairs=0", "pairs=0: must be a whole number, at least 1."),
        ("benchmark.py", "steps=100", "steps=100: must be a whole number from 200 to 400."),
        ("benchmark.py", "speed=1", "speed=1: benchmark.py has no such key. It takes pairs, steps."),
        ("benchmark_sweeps.py", "largest=5", "largest=5: must be a whole number, at least 10."),
        ("check_outlook.py", "adm", "adm: must be sgd or adam. Did you mean adam?"),
        ("compare_init.py", "--quick", "--quick: not understood. Allowed: [-h]."),
        ("compare_theory.py", "width=3", "width=3: compare_theory.py has no such key. It takes none."),
        ("score_verdict.py", "fault", "fault: must be networks, branching or faults. Did you mean faults?"),
    ],
)
def test_scripts(script: str, argument: str, message: str, command) -> None:
    done = command(f"scripts/{script}", *argument.split())
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
