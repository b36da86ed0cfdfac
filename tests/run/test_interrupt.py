"""After Ctrl-C in the middle of a batch, the batch is finished first. Nothing that holds a lock is interrupted."""

import os
import signal
from collections.abc import Iterator

import lightning.pytorch as pl
import pytest
import torch

from gradpath.data.batch import Batch
from gradpath.data.gaussian import gaussian
from gradpath.data.memory import MemoryDataModule
from gradpath.run import terminal
from gradpath.run.build import new_trainer
from gradpath.run.interrupt import StopBetweenBatches


class Net(pl.LightningModule):
    """Presses Ctrl-C `presses` times in the middle of batch `at` of a stage. Notes which batches begin and end."""

    def __init__(self, stage: str, at: int, presses: int = 1) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(5, 1)
        self.stage, self.at, self.presses = stage, at, presses
        self.begun: list[str] = []
        self.finished: list[str] = []

    def _step(self, stage: str, batch: Batch, index: int) -> torch.Tensor:
        self.begun.append(f"{stage} {index}")
        if (stage, index) == (self.stage, self.at):
            for _ in range(self.presses):
                os.kill(os.getpid(), signal.SIGINT)
        loss = self.linear(batch.inputs).square().mean()
        self.finished.append(f"{stage} {index}")
        return loss

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        return self._step("fit", batch, index)

    def validation_step(self, batch: Batch, index: int) -> None:
        self._step("validate", batch, index)

    def test_step(self, batch: Batch, index: int) -> None:
        self._step("test", batch, index)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Sets Python's own handler of Ctrl-C and restores the old one. Lightning ignores Ctrl-C once it has seen one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def trainer() -> pl.Trainer:
    terminal.quiet()
    return new_trainer(
        accelerator="cpu",
        max_epochs=1,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        callbacks=[StopBetweenBatches()],
    )


@pytest.fixture
def data() -> MemoryDataModule:
    """Seven batches for training, two for validation and two for the test."""
    return gaussian(samples=10_000, features=5, classes=2, data_seed=0, batch_size=1000)


@pytest.mark.parametrize(("stage", "at"), [("fit", 0), ("fit", 3), ("validate", 1), ("test", 0), ("test", 1)])
def test_the_batch_is_finished_first(stage: str, at: int, data: MemoryDataModule) -> None:
    net = Net(stage, at)
    run = trainer()
    if stage == "test":
        run.fit(net, data)
    with pytest.raises(SystemExit):
        run.test(net, data, verbose=False) if stage == "test" else run.fit(net, data)
    assert net.begun == net.finished
    # No other batch has begun, of this stage or of the next.
    assert net.finished[-1] == f"{stage} {at}"


def test_a_second_one_does_not_wait(data: MemoryDataModule) -> None:
    net = Net("fit", 1, presses=2)
    with pytest.raises(SystemExit):
        trainer().fit(net, data)
    assert net.begun == ["fit 0", "fit 1"]
    assert net.finished == ["fit 0"]


def test_what_answers_ctrl_c_already_is_left_alone(data: MemoryDataModule) -> None:
    pressed = []
    signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    net = Net("fit", 1)
    trainer().fit(net, data)
    assert pressed == [True]
    assert "fit 6" in net.finished


def test_the_answer_is_given_back(data: MemoryDataModule) -> None:
    trainer().fit(Net("none", 0), data)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    net = Net("none", 0)
    net.configure_optimizers = lambda: 1 / 0  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        trainer().fit(net, data)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
