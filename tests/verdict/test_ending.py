"""The end of the block: what was measured is kept and judged, and nothing of ours ends or hides what the user does."""

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from gradpath import GradientFlow, probe
from gradpath.flow import record
from gradpath.verdict.probing import JudgingProbe


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))


def train(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(5, 4)).square().mean().backward()
        optimizer.step()


def replace_by_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


def test_a_layer_that_was_called_and_never_trained(tmp_path: Path) -> None:
    model = network()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with probe(model, folder=tmp_path / "flow") as p:
            train(model)
            model.append(nn.Linear(2, 2))
            model(torch.randn(5, 4))
    assert p.verdict()["class"] == "healthy"
    assert "verdict" in record.load(tmp_path / "flow")


def inside(folder: Path, last: Callable[[Path], None]) -> JudgingProbe:
    """Trains in a block, at whose end something happens."""
    model = network()
    with probe(model, folder=folder) as p:
        train(model)
        last(folder)
    return p


def test_a_record_that_cannot_be_written_is_one_warning(tmp_path: Path) -> None:
    with pytest.warns(RuntimeWarning, match="not kept and judged as a whole: FileExistsError") as said:
        p = inside(tmp_path / "flow", replace_by_a_file)
    assert (len(said), p.verdict()["class"], p.record.steps) == (1, "healthy", [0, 1, 2])


def fail(folder: Path) -> None:
    raise ZeroDivisionError


def lose_and_fail(folder: Path) -> None:
    replace_by_a_file(folder)
    raise ZeroDivisionError


def test_an_error_of_the_user_is_not_hidden(tmp_path: Path) -> None:
    with pytest.warns(RuntimeWarning, match="FileExistsError"), pytest.raises(ZeroDivisionError):
        inside(tmp_path / "flow", lose_and_fail)
    with pytest.raises(ZeroDivisionError):
        inside(tmp_path / "other", fail)
    assert record.load(tmp_path / "other")["step"].tolist() == [0, 1, 2]


class Failing(pl.LightningModule):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.net, self.folder = network(), folder

    def training_step(self, batch: list[torch.Tensor], number: int) -> torch.Tensor:
        if number == 2:
            lose_and_fail(self.folder)
        return self.net(batch[0]).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:.*does not have many workers", "ignore:.*isinstance.treespec")
def test_the_callback_does_not_hide_it_either(tmp_path: Path) -> None:
    folder = tmp_path / "flow"
    folder.mkdir()
    callback = GradientFlow(folder)
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(20, 4)), batch_size=5)
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", callbacks=[callback], logger=False, enable_progress_bar=False,
        enable_checkpointing=False, enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    with pytest.warns(RuntimeWarning, match="FileExistsError"), pytest.raises(ZeroDivisionError):
        trainer.fit(Failing(folder), data)
    assert callback.verdict is not None
    assert callback.verdict["class"] == "healthy"
