"""Runs the Python code of the README and of docs/api.md as it is written."""

import re
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from finished_sweeps import result, write_sweep
from gradpath.config.checks import PROJECT
from gradpath.flow import record
from gradpath.verdict.probing import probe


class Own(nn.Module):
    """A user's own module, with functional activations and residual connections."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(20, 16)
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.first(x))
        for layer in self.layers:
            x = x + F.gelu(layer(x))
        return self.head(x)


@pytest.mark.parametrize("kind", ["torchvision", "own"])
def test_the_five_lines(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(from gradpath import probe.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)
    torch.manual_seed(0)
    model = torchvision.ops.MLP(20, [16, 16, 3]) if kind == "torchvision" else Own()
    loader = [(torch.randn(8, 20), torch.randint(3, (8,))) for _ in range(4)]
    optimizer = torch.optim.Adam(model.parameters())
    exec(code, {"model": model, "loader": loader, "optimizer": optimizer, "F": F})
    saved = record.load(tmp_path / "logs/mine")
    assert saved["step"].tolist() == [0, 1, 2, 3]
    own = ["first", *(f"layers.{index}{place}" for index in range(3) for place in ("", " +")), "head"]
    assert saved["layer"].tolist() == (["0", "3", "6"] if kind == "torchvision" else own)
    moved = saved["update_ratio"][:, [not name.endswith("+") for name in saved["layer"]]]
    assert (moved > 0).all()
    assert "'class': 'healthy'" in capsys.readouterr().out


def test_networks_that_branch(capsys: pytest.CaptureFixture[str]) -> None:
    """A convolutional network and a transformer."""
    blocks = re.findall(r"```python\n((?:model = torchv|block = nn).*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)
    torch.manual_seed(0)
    for block in blocks:
        exec(block, {"probe": probe, "torch": torch, "torchvision": torchvision, "nn": nn, "F": F})
    residual, transformer = capsys.readouterr().out.splitlines()
    assert residual.startswith("healthy ['conv1', 'layer1.0.conv2 +', 'layer1.1.conv2 +', 'layer2.0.downsample.0 +'")
    assert transformer.startswith(
        "healthy ['layers.0.self_attn', 'layers.0.linear1', 'layers.0.linear2', 'layers.0.linear2 +'"
    )


@pytest.mark.filterwarnings("ignore")
def test_a_lightning_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(from gradpath import Grad.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = Own()

        def training_step(self, batch: list[Tensor], _: int) -> Tensor:
            return F.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters())

    torch.manual_seed(0)
    data = TensorDataset(torch.randn(160, 20), torch.randint(3, (160,)))
    exec(code, {"pl": pl, "module": Module(), "loader": DataLoader(data, batch_size=8)})
    assert "healthy []" in capsys.readouterr().out
    assert record.load(tmp_path / "logs/flow")["step"].tolist() == [0, 10, 20, 30]


def test_a_test_of_ones_own() -> None:
    (code,) = re.findall(r"```python\n(from gradpath.testing.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)
    torch.manual_seed(0)
    given = {"model": Own(), "inputs": torch.randn(8, 20), "targets": torch.arange(8) % 3, "F": F}
    exec(code, given)
    given["test_gradients_arrive"]()
    # The same lines refuse a network whose gradient vanishes.
    deep = [part for _ in range(12) for part in (nn.Linear(20, 20), nn.Sigmoid())]
    given["model"] = nn.Sequential(*deep, nn.Linear(20, 3))
    with pytest.raises(AssertionError, match="vanishing"):
        given["test_gradients_arrive"]()


@pytest.mark.filterwarnings("ignore")
def test_the_examples_of_the_public_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """The blocks of docs/api.md run in their order, and print what their comments promise."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"(?<!\.py -->\n)```python\n(.*?)```", (PROJECT / "docs/api.md").read_text(), re.DOTALL)
    assert len(blocks) == 7
    axes = {"seed": ["0", "1"], "activation": ["relu", "tanh"]}
    write_sweep(tmp_path / "logs/sweeps/mine", axes, lambda given: result(0.75 if given["activation"] == "relu" else 0.5))
    printed = []
    for block in blocks:
        exec(block, {})
        printed.append(capsys.readouterr().out.splitlines())
    probed, called, field, predicted, saved, jobs, stacked = printed
    assert called[-2:] == ["healthy", "['net.0', 'net.2']"]
    assert probed[:3] == ["healthy", "['0', '2', '4']", "(10, 3)"]
    assert field[:2] == ["1.0", "critical"]
    assert float(field[2]) > 0
    low, high = map(float, predicted[1].split())
    assert low < float(predicted[0]) < high < 1
    assert predicted[2] == "True"
    assert saved[0] == f"{list(range(10))} ['0', '2', '4']"
    assert "None None" in saved
    assert jobs[2].split() == ["0-job", "relu", "0", "0.75", "healthy", "ok"]
    assert [line.split() for line in jobs[-3:-1]] == [["relu", "0.75"], ["tanh", "0.50"]]
    # The largest learning rate, a third of the networks, learns XOR at once; the smallest does not.
    assert 10 <= int(stacked[0]) <= 40
