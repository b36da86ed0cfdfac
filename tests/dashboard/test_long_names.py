"""The view of a sweep with long names and drawn numbers, in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from board import chromium, serving
from synthetic import content, write
from tab import SweepTab, plan

UNITS = [f"my_package.activations.LeakySmoothGated{word}Unit" for word in ("Long", "Short", "Middle")]
PATHS = [f"/scratch/users/somebody/checkpoints/{word}/weights_of_the_best.ckpt" for word in ("one", "two", "three")]
KEY = "optimizer.a_parameter_group_with_a_long_name"
RATES = [repr(float(rate)) for rate in np.random.default_rng(0).uniform(1e-4, 0.1, 40)]
HEALTHY = {"class": "healthy", "ratio": 1.0, "rate_per_layer": 1.0, "findings": []}


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SweepTab]:
    logs: Path = tmp_path_factory.mktemp("logs")
    grids: dict[str, Any] = {"long": {"activation": UNITS, "path": PATHS, KEY: ["1", "2"]}, "drawn": {"optimizer.lr": RATES}}
    for name, grid in grids.items():
        for job in plan(logs / name, grid):
            if name == "long" or job.number != int(np.argmin([float(rate) for rate in RATES])):
                write(logs / name / job.name, content(count=5, steps=2), HEALTHY)
    with serving("--logdir", logs) as url, chromium() as browser:
        opened = SweepTab(browser, url, alone=True)
        yield opened
        assert opened.errors == []


def test_heads_are_cut_where_names_are_alike(tab: SweepTab) -> None:
    tab.show("long")
    tab.all_drawn(18)
    heads = tab.frame.locator(".head, .side span")
    assert [text.strip() for text in heads.all_inner_texts()][3:] == ["…one…", "…two…", "…three…"]
    assert len({*heads.all_inner_texts()}) == 6
    assert heads.evaluate_all("all => all.filter(head => head.scrollWidth > head.clientWidth).length") == 0
    assert tab.frame.locator(".side").first.get_attribute("title") == PATHS[0]
    cell = tab.frame.locator("button.cell").first
    assert cell.get_attribute("aria-label").endswith(f"n = 2 ({KEY})")
    kind = cell.locator(".class")
    assert kind.evaluate("word => word.scrollWidth <= word.clientWidth"), "the class is cut"
    corner = tab.frame.locator(".corner")
    corner_height, head_height = (part.bounding_box()["height"] for part in (corner, heads.first))
    assert corner_height == head_height


def test_drawn_numbers_have_four_digits(tab: SweepTab) -> None:
    tab.show("drawn")
    tab.frame.locator(".own").first.wait_for()
    shown = tab.frame.locator(".own").all_inner_texts()
    assert shown == [f"{rate:.4g}" for rate in sorted(map(float, RATES))]
    first = tab.frame.locator("button.cell").first
    first.locator(".class", has_text="no record").wait_for()
    assert tab.says(first) == "no record"
