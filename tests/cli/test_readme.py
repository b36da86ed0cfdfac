"""Runs the Python code of the README and of docs/api.md as it is written."""

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from finished_sweeps import result, write_sweep
from gradpath.config.checks import PROJECT
from gradpath.flow import record


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
    names = ["0", "3", "6"] if kind == "torchvision" else ["first", "layers.0", "layers.1", "layers.2", "head"]
    assert saved["layer"].tolist() == names
    assert (saved["update_ratio"] > 0).all()
    assert "'class': 'healthy'" in capsys.readouterr().out


def test_the_examples_of_the_public_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """The blocks of docs/api.md run in their order, and print what their comments promise."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (PROJECT / "docs/api.md").read_text(), re.DOTALL)
    assert len(blocks) == 5
    axes = {"seed": ["0", "1"], "activation": ["relu", "tanh"]}
    write_sweep(tmp_path / "logs/sweeps/mine", axes, lambda given: result(0.75 if given["activation"] == "relu" else 0.5))
    printed = []
    for block in blocks:
        exec(block, {})
        printed.append(capsys.readouterr().out.splitlines())
    probed, field, predicted, saved, jobs = printed
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
