"""The tab on networks that branch: the way of the gradient first, its branches on demand."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from board import chromium, serving
from gradpath.flow import record
from gradpath.verdict.probing import probe
from tab import FITS, Tab

BLOCKS = 40


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.up, self.act, self.down = nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(self.act(self.up(self.norm(x))))


class Residual(nn.Module):
    def __init__(self, blocks: nn.ModuleDict) -> None:
        super().__init__()
        self.stem, self.body, self.head = nn.Linear(4, 8), blocks, nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body["blocks_of_the_stream"](self.stem(x)))


def write(folder: Path, model: nn.Module, width: int) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with probe(model, folder=folder):
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(16, width)).square().mean().backward()
            optimizer.step()


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    torch.manual_seed(0)
    write(folder / "plain", nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)), 4)
    blocks = nn.ModuleDict({"blocks_of_the_stream": nn.Sequential(*[Block() for _ in range(BLOCKS)])})
    write(folder / "residual", Residual(blocks), 4)
    write(folder / "shallow", nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), 4)
    return folder


@pytest.fixture(scope="module")
def tab(logs: Path) -> Iterator[Tab]:
    with chromium() as browser, serving("--logdir", logs) as url:
        opened = Tab(browser, url, alone=True)
        yield opened
        assert opened.errors == []


def points(tab: Tab, run: str) -> int:
    return tab.curve(run).count("L") + tab.curve(run).count("M")


def test_the_way_comes_first_and_the_branches_on_demand(tab: Tab, logs: Path) -> None:
    saved = record.load(logs / "residual")
    layers = saved["layer"].tolist()
    assert len(layers) == 2 + 3 * BLOCKS
    branches: Any = tab.frame.get_by_label("Branches")
    tab.choose("plain")
    assert not branches.is_visible()
    tab.choose("residual")
    # The first layer, the stream behind each block, the output layer.
    assert points(tab, "residual") == BLOCKS + 2
    # A name that is too long keeps its end, by which it differs from the others.
    cut = [label for label in tab.frame.locator("svg text").all_text_contents() if label.startswith("…")]
    assert len(cut) > 8
    assert all(re.fullmatch(r"…(\w+\.)?\d+\.down \+", label) for label in cut)
    branches.check()
    tab.page.wait_for_function(
        "n => document.querySelector('path.measured').getAttribute('d').split(/[ML]/).length > n", arg=99
    )
    assert points(tab, "residual") == len(layers)
    assert tab.page.evaluate(FITS)


def test_what_only_layers_have_is_shown_of_layers(tab: Tab) -> None:
    tab.choose("residual")
    tab.frame.get_by_label("Branches").uncheck()
    tab.frame.get_by_label("Quantity").select_option("update_ratio")
    tab.page.wait_for_function(
        "() => document.querySelector('path.measured')?.getAttribute('d').split(/[ML]/).length === 83"
    )
    assert points(tab, "residual") == 2 + 2 * BLOCKS
    assert "NaN" not in tab.curve("residual")
    tab.frame.get_by_label("Quantity").select_option("delta")


def test_why_there_is_no_class(tab: Tab) -> None:
    tab.choose("plain")
    assert "undecided" not in tab.frame.locator("section.panel header").inner_text()
    tab.choose("shallow")
    header = tab.frame.locator("section.panel[data-run=shallow] header").inner_text()
    assert "undecided" in header
    assert "a class compares two places below the output layer" in header
