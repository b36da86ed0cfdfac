"""The Lightning callback with LightningModules that are not ours: automatic and manual optimisation."""

import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from gradpath import GradientFlow
from gradpath.flow import record


class Plain(pl.LightningModule):
    def __init__(self, activation: type[nn.Module] = nn.ReLU, depth: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        hidden = [part for _ in range(depth) for part in (nn.Linear(16, 16), activation())]
        self.net = nn.Sequential(*hidden, nn.Linear(16, 3))
        for layer in self.net[:-1:2]:
            nn.init.kaiming_normal_(layer.weight)

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        self.log("loss", F.cross_entropy(self.net(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


class Adversarial(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.automatic_optimization = False
        self.g = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 16))
        self.d = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1))

    def training_step(self, batch: list[Tensor], _: int) -> None:
        of_g, of_d = self.optimizers()
        z = torch.randn(len(batch[0]), 4)
        for optimizer, loss in (
            (of_d, lambda: self.d(self.g(z).detach()).mean() - self.d(batch[0]).mean()),
            (of_g, lambda: -self.d(self.g(z)).mean()),
        ):
            optimizer.zero_grad()
            self.manual_backward(loss())
            optimizer.step()

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        return torch.optim.Adam(self.g.parameters()), torch.optim.Adam(self.d.parameters())


def data() -> DataLoader[Any]:
    torch.manual_seed(1)
    return DataLoader(TensorDataset(torch.randn(64, 16), torch.randint(3, (64,))), batch_size=16)


def fit(module: pl.LightningModule, callbacks: list[pl.Callback], folder: Path, **options: Any) -> None:
    trainer = pl.Trainer(
        default_root_dir=folder, callbacks=callbacks, accelerator="cpu", enable_progress_bar=False, logger=False,
        enable_model_summary=False, enable_checkpointing=False, **{"max_epochs": 2} | options,
    )  # fmt: skip
    with warnings.catch_warnings():
        # What Lightning says of the number of workers and of the log's interval.
        warnings.simplefilter("ignore")
        trainer.fit(module, data(), data())


@pytest.mark.parametrize(
    "options", [{}, {"accumulate_grad_batches": 2}, {"gradient_clip_val": 0.01}, {"precision": "bf16-mixed"}]
)
def test_automatic_optimisation_is_measured_and_left_alone(options: dict[str, Any], tmp_path: Path) -> None:
    alone, measured = Plain(), Plain()
    fit(alone, [], tmp_path / "alone", **options)
    callback = GradientFlow(tmp_path / "flow")
    fit(measured, [callback], tmp_path / "measured", **options)
    assert all(torch.equal(a, b) for a, b in zip(alone.parameters(), measured.parameters(), strict=True))
    content = record.load(tmp_path / "flow")
    assert content["layer"].tolist() == ["net.0", "net.2", "net.4", "net.6"]
    assert content["step"].tolist() == list(range(4 if "accumulate_grad_batches" in options else 8))
    assert np.isfinite(content["delta"]).all()
    assert callback.verdict
    assert (callback.verdict["class"], callback.verdict["findings"]) == ("healthy", [])
    if "gradient_clip_val" in options:
        clipped = np.sqrt((content["weight_grad_norm_clipped"] ** 2).sum(1))
        assert (clipped < 0.011).all()
        assert (content["weight_grad_norm"][:, 0] > content["weight_grad_norm_clipped"][:, 0]).all()


def test_a_sick_module_is_named(tmp_path: Path) -> None:
    callback = GradientFlow(tmp_path / "flow", every=2)
    fit(Plain(nn.Sigmoid, 12), [callback], tmp_path)
    assert callback.verdict
    assert callback.verdict["class"] == "vanishing"
    assert record.load(tmp_path / "flow")["step"].tolist() == [0, 2, 4, 6]


def test_manual_optimisation_with_two_optimisers(tmp_path: Path) -> None:
    callback = GradientFlow(tmp_path / "flow")
    fit(Adversarial(), [callback], tmp_path, limit_val_batches=0)
    content = record.load(tmp_path / "flow")
    assert content["step"].tolist() == list(range(8))
    assert np.isfinite(content["update_ratio"]).all()


def test_an_exception_keeps_what_was_measured(tmp_path: Path) -> None:
    class Breaks(Plain):
        def training_step(self, batch: list[Tensor], number: int) -> Tensor:
            if self.global_step == 5:
                raise RuntimeError("the user's own")
            return super().training_step(batch, number)

    callback = GradientFlow(tmp_path / "flow")
    with pytest.raises(RuntimeError, match="the user's own"):
        fit(Breaks(), [callback], tmp_path)
    assert record.load(tmp_path / "flow")["step"].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="holds a record already"):
        fit(Plain(), [GradientFlow(tmp_path / "flow")], tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("named", [True, False])
def test_a_second_fit_has_a_record_of_its_own(named: bool, tmp_path: Path) -> None:
    flow = GradientFlow(tmp_path / "gradient_flow" if named else None)
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", callbacks=[flow], logger=False, enable_progress_bar=False,
        enable_checkpointing=False, enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    torch.manual_seed(0)
    loader = DataLoader(TensorDataset(torch.randn(24, 16), torch.randint(3, (24,))), batch_size=8)
    module = Plain()
    for epochs in (1, 3):
        trainer.fit_loop.max_epochs = epochs
        trainer.fit(module, loader)
    counts = [len(record.load(tmp_path / name)["step"]) for name in ("gradient_flow", "gradient_flow_2")]
    assert counts == [3, 6]
    # What another callback has kept is not taken for its own.
    other = GradientFlow(tmp_path / "gradient_flow")
    trainer = pl.Trainer(max_epochs=1, accelerator="cpu", callbacks=[other], logger=False, default_root_dir=tmp_path)
    with pytest.raises(ValueError, match="holds a record already"):
        trainer.fit(module, loader)
