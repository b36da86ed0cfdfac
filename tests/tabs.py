"""TensorBoard's tabs on a page of a real browser, and what the files of the runs say that they show."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image

from board import wait_until

FAMILIES = {
    "delta_log10": ("delta", np.log10), "weight_grad_norm_log10": ("weight_grad_norm", np.log10),
    "weight_grad_norm": ("weight_grad_norm", np.asarray), "weight_norm": ("weight_norm", np.asarray),
    "update_ratio_log10": ("update_ratio", np.log10),
}  # fmt: skip


# TensorBoard shows four digits.
DIGITS = {"rel": 2e-3, "abs": 1e-4}


@dataclass(frozen=True)
class Trained:
    """A run's folder, and what its files say."""

    folder: Path

    @cached_property
    def result(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        return content

    @cached_property
    def flow(self) -> dict[str, np.ndarray]:
        return dict(np.load(self.folder / "flow.npz"))

    def points(self, tag: str) -> dict[int, float]:
        """Step -> value of a scalar, from metrics.csv and flow.npz."""
        family, _, layer = tag.partition("/")
        if family in FAMILIES:
            quantity, shown = FAMILIES[family]
            values = shown(self.flow[quantity][:, list(self.flow["layer"]).index(layer)])
            return dict(zip(self.flow["step"].tolist(), values.tolist(), strict=True))
        with (self.folder / "metrics.csv").open() as file:
            return {int(row["step"]): float(row[tag]) for row in csv.DictReader(file) if row[tag]}


class Board:
    """TensorBoard in a browser, on one page as a user has it: they go from tab to tab by a click."""

    def __init__(self, page: Any, runs: dict[str, Trained]) -> None:
        self.page, self.runs = page, runs
        (self.default,) = (name for name in runs if name.startswith("runs/"))

    def open(self, name: str) -> None:
        self.page.get_by_role("tab", name=re.compile(rf"^\s*{name}\s*$", re.IGNORECASE)).click()

    def picture(self, element: Any) -> np.ndarray:
        """What is seen of an element: rows of pixels of red, green and blue, from 0 to 1."""
        return image.imread(io.BytesIO(element.screenshot()))[:, :, :3]

    def hover(self, chart: Any, tooltips: str) -> Iterator[list[list[str]]]:
        """Points with the mouse at places of a chart, left to right. Yields the rows of its tooltip at each."""
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        for across in (0.2, 0.4, 0.6, 0.8, 0.95):
            self.page.mouse.move(box["x"] + across * box["width"], box["y"] + box["height"] / 2 - 3)
            self.page.mouse.move(box["x"] + across * box["width"] + 1, box["y"] + box["height"] / 2, steps=2)
            wait_until(lambda: len(self.visible(tooltips)) == 1, 30)
            (text,) = self.visible(tooltips)
            yield [re.split(r"\s*\t\s*", line.strip()) for line in text.splitlines() if line.strip()]

    def visible(self, tables: str) -> list[str]:
        """The texts of the tables that are seen and have more than a heading. A chart's old tooltip is transparent."""
        seen = "tables => tables.filter(t => t.checkVisibility({opacityProperty: true}) && t.rows.length > 1)"
        return list(self.page.locator(tables).evaluate_all(f"tables => ({seen})(tables).map(t => t.innerText)"))

    def check(self, chart: Any, tooltips: str, series: Callable[[str], tuple[str, str]]) -> dict[tuple[str, str], set[int]]:
        """Compares each number in a chart's tooltips with the files. Returns which steps of (run, tag) were shown."""
        seen: dict[tuple[str, str], set[int]] = {}
        for heading, *rows in self.hover(chart, tooltips):
            for row in rows:
                cells = dict(zip(heading, row, strict=True))
                run, tag = series(row[0])
                step = int(cells["Step"])
                assert number(cells["Value"]) == pytest.approx(self.runs[run].points(tag)[step], **DIGITS), (run, tag, step)
                seen.setdefault((run, tag), set()).add(step)
        return seen


def number(text: str) -> float:
    """A number as a page writes it: with a real minus, or as 1.4 × 10⁻⁷."""
    plain = text.translate(str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789"))
    return float(re.sub(r"\s*×\s*10", "e", plain))


def coloured(picture: np.ndarray) -> int:
    """How many pixels have a colour that is not grey."""
    return int((np.ptp(picture, axis=2) > 0.3).sum())
