"""`report.html` of sweeps with many values, long names and long texts, in a real browser: all of it can be read."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from board import chromium
from gradpath.sweep.plan import write_plan
from gradpath.sweep.summary import write_summary
from report_page import Open, Report, opening
from synthetic_sweep import Change, as_it_is, write_sweep

THIRTY = {
    "model.depth": [str(depth) for depth in range(2, 32)],
    "optimizer.lr": [f"{10 ** (k / 10 - 4):.4g}" for k in range(30)],
}
UNITS = [f"my_package.activations.LeakySmoothGated{word}Unit" for word in ("Long", "Short", "Middle")]
PATHS = [
    f"/scratch/users/somebody/experiments/checkpoints/{word}/weights_of_the_best.ckpt" for word in ("one", "two", "three")
]
LONG = {"activation": [*UNITS, "relu"], "model.path": PATHS, "seed": ["0", "1"]}
# Whether an element's text takes more lines than one, or is cut by its own box.
BROKEN = """heads => heads.filter(head => {
    const range = document.createRange();
    range.selectNodeContents(head.querySelector("span") ?? head);
    const sizes = [...range.getClientRects()].map(box => head.matches(".upright") ? box.left : box.top);
    return new Set(sizes).size > 1 || head.scrollWidth > head.clientWidth + 1;
}).map(head => head.textContent)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Open]:
    with opening(browser, tmp_path) as call:
        yield call


def searched(folder: Path, grid: Mapping[str, Any], *typed: str, change: Change = as_it_is) -> Path:
    """The report of a search whose trials have the values of a grid."""
    plan = replace(write_sweep(folder, grid, change), search=typed)
    write_plan(folder, plan)
    write_summary(folder, plan)
    return folder / "report.html"


def is_inside(report: Report, selector: str) -> bool:
    """Whether an element is not wider than the window, and the page does not scroll sideways."""
    box = report.locator(selector).first.bounding_box()
    scrolls = report.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return bool(box["x"] >= 0 and box["x"] + box["width"] <= report.page.viewport_size["width"]) and not scrolls


@pytest.mark.parametrize("width", [1280, 1920])
def test_a_grid_of_thirty_times_thirty_can_be_read(opened: Open, width: int) -> None:
    report = opened(THIRTY, width=width, epochs=1)
    assert report.locator("#matrix td").count() == 900
    assert is_inside(report, "#matrix .scroll")
    assert report.locator("#matrix th[scope]").evaluate_all(BROKEN) == []
    box = report.locator("#matrix .scroll")
    assert box.evaluate("box => box.scrollWidth <= box.clientWidth")
    assert box.bounding_box()["height"] < 900
    # Where there is no room for numbers, a cell is a colour, and its value is said.
    cell = report.cell("0.01", "20")
    assert re.fullmatch(r"" if width == 1280 else r"0\.\d+", cell.inner_text())
    assert re.search(r"test/accuracy: mean 0\.\d+, n 1", cell.get_attribute("aria-label"))
    cell.hover()
    assert re.search(r"mean 0\.\d+", report.text("#tip"))
    assert ("tell the values" in report.text("#matrix h2")) == (width == 1280)
    report.mouse.move(2, 2)


def test_the_heads_of_the_grid_stay_in_sight(opened: Open) -> None:
    report = opened(
        {"model.depth": [str(depth) for depth in range(2, 122)][::3], "activation": [f"option_{k}" for k in range(50)]},
        epochs=1,
    )
    box = report.locator("#matrix .scroll")
    edge = box.bounding_box()
    box.evaluate("box => box.scrollTo(box.scrollWidth, box.scrollHeight)")
    for selector, side in (("thead th >> nth=20", "y"), ("tbody th >> nth=-1", "x"), ("th.corner", "x"), ("th.corner", "y")):
        assert report.locator(f"#matrix {selector}").bounding_box()[side] == pytest.approx(edge[side], abs=4)
    # A cell that the keyboard reaches is not behind them.
    report.locator("#matrix td >> nth=-1").focus()
    for key in (*["ArrowUp"] * 39, *["ArrowLeft"] * 30):
        report.keyboard.press(key)
    cell, corner = (report.locator(selector).bounding_box() for selector in ("#matrix td:focus", "#matrix th.corner"))
    assert cell["y"] >= corner["y"] + corner["height"] - 1
    assert cell["x"] >= corner["x"] + corner["width"] - 1
    assert report.text("#tip").startswith("model.depth 2, activation option_")


def test_a_number_stands_in_a_cell_that_has_room_for_one(opened: Open) -> None:
    report = opened({"activation": [f"option_{k}" for k in range(14)], "seed": ["0", "1"], "init": ["he", "xavier"]})
    cell = report.cell("he", "option_3")
    assert re.fullmatch(r"0\.\d+", cell.inner_text())
    assert ", sd 0." in cell.get_attribute("aria-label")
    assert is_inside(report, "#matrix table")
    assert report.locator("#matrix th[scope]").evaluate_all(BROKEN) == []


def test_long_names_are_cut_where_they_are_alike(opened: Open) -> None:
    report = opened(LONG)
    assert report.texts("#matrix tbody th") == ["…one…", "…two…", "…three…"]
    heads = report.texts("#matrix thead th")[1:]
    assert len({*heads}) == 4
    assert all(len(head) <= 24 for head in heads)
    assert report.locator("#matrix th[scope]").evaluate_all(BROKEN) == []
    head = report.locator("#matrix tbody th").first
    assert head.get_attribute("aria-label") == PATHS[0]
    head.hover()
    assert report.text("#tip") == PATHS[0]
    report.locator("#matrix td").first.focus()
    assert PATHS[0] in report.text("#tip")
    report.keyboard.press("Escape")


def test_names_that_differ_in_the_middle_only_are_told_apart(opened: Open) -> None:
    names = [f"{'x' * 30}{middle}{'y' * 30}" for middle in "abc"]
    report = opened({"activation": names, "seed": ["0", "1"]})
    assert len({*report.texts("#matrix thead th")[1:]}) == 3


def test_many_numbers_are_put_into_intervals(opened: Open) -> None:
    random = np.random.default_rng(0)
    rates = [repr(float(10 ** random.uniform(-4, -1))) for _ in range(100)]
    report = opened({"optimizer.lr": rates, "activation": ["tanh", "relu"]}, epochs=1)
    heads = report.texts("#matrix thead th")[1:]
    assert len(heads) == 12
    assert all(" to " in head for head in heads)
    assert sum(int(cell.get_attribute("data-n")) for cell in report.locator("#matrix td").all()) == 200
    assert "optimizer.lr in intervals" in report.text("#matrix h2")
    assert report.locator('#filters fieldset[data-criterion="optimizer.lr"] label').count() == 12


def test_a_key_that_a_search_drew_is_no_axis_of_the_grid(opened: Open, tmp_path: Path) -> None:
    """Few trials, of which each has its own learning rate; and a failed one, that has no seed."""
    grid = {"activation": ["relu", "tanh"], "optimizer.lr": ["0.0013", "0.0412", "0.0007", "0.02"]}
    page = searched(
        tmp_path / "search", grid, "activation=relu,tanh", "optimizer.lr=tag(log,interval(1e-4,0.1))",
        "sweep.objective=metrics.val/loss", "hydra.sweeper.direction=minimize",
        change=lambda number, choices, result: result | {"seed": 0} if number else {"status": "failed", "error": "no"},
    )  # fmt: skip
    report = opened(at=page)
    assert report.locator("#matrix td").count() == 8, "half of the trials share a value"
    page = searched(
        tmp_path / "other", {"optimizer.lr": grid["optimizer.lr"], "activation": ["relu"]}, "activation=relu,tanh",
        "optimizer.lr=interval(1e-4,0.1)", "sweep.objective=metrics.val/loss", "hydra.sweeper.direction=minimize",
        change=lambda number, choices, result: result | {"seed": number % 2},
    )  # fmt: skip
    report = opened(at=page)
    assert report.locator('#matrix select >> nth=0 >> option[value="optimizer.lr"]').count() == 0
    assert "no axis, as nearly each trial has its own: optimizer.lr (see The search)" in report.text("#matrix h2")


@pytest.mark.parametrize("width", [1280, 1920])
def test_nothing_long_scrolls_the_page(opened: Open, width: int) -> None:
    """Long overrides, long errors, and many columns: each is inside the page, or scrolls in a box of its own."""

    def change(number: int, choices: Mapping[str, str], result: dict[str, Any]) -> dict[str, Any]:
        result["metrics"] |= {f"my/metric_with_a_long_name_{k}": 0.1 * k + number for k in range(36)}
        error = f"RuntimeError: no file {'/a_folder' * 40}/x.npz {'x' * 300}"
        return result if number else {"status": "failed", "error": error, "traceback": error, "choices": {}}

    report = opened(LONG | {f"optimizer.{'a_long_name_' * 5}": ["0.1", "0.2"]}, change, width=width)
    report.locator("#parallel .axes input:not(:checked)").evaluate_all("boxes => boxes.forEach(box => box.click())")
    assert report.locator("#parallel .upright").count() > 40
    for selector in ("#parallel .place", "#runs .scroll", "#failures .list", "#matrix .scroll"):
        assert is_inside(report, selector), selector
    over = """() => [...document.querySelectorAll("body *")].filter(part => !part.closest(".scroll")
        && part.getBoundingClientRect().right > innerWidth).map(part => part.outerHTML.slice(0, 200))"""
    assert report.evaluate(over) == []
    assert report.locator("#failures .reason").bounding_box()["height"] < 60
    # The axes are so far apart that their names have room.
    places = sorted(float(line.get_attribute("x1")) for line in report.locator("#parallel .upright").all())
    assert min(np.diff(places)) >= 89
    # The table's first column stays, and a run's button tells the values that are cut.
    report.locator("#runs .scroll").evaluate("box => box.scrollTo(box.scrollWidth, 0)")
    button = report.locator("#runs tbody button").first
    assert button.bounding_box()["x"] < 60
    report.keyboard.press("Tab")
    button.focus()
    assert f"activation {UNITS[0]}" in report.text("#tip")
    report.locator("#failures .reason").hover()
    assert "x.npz" in report.text("#tip")
    button.click()
    assert report.evaluate(
        "document.querySelector('#drawer .runs').scrollWidth <= document.querySelector('#drawer').clientWidth"
    )


def test_words_along_an_axis_do_not_touch(opened: Open) -> None:
    values = [repr(float(rate)) for rate in np.geomspace(1e-4, 0.1, 60)]
    report = opened({"optimizer.lr": values, "activation": [f"a_unit_of_kind_{k}" for k in range(4)]}, epochs=1)
    report.choose("scatter", "Across", "optimizer.lr")
    boxes = [text.bounding_box() for text in report.locator('#scatter text[text-anchor="middle"]:not(.title)').all()]
    assert len(boxes) > 2
    assert all(left["x"] + left["width"] < right["x"] for left, right in pairwise(boxes))
    svg = report.locator("#parallel svg").bounding_box()
    for text in report.locator("#parallel .on-line").all():
        box = text.bounding_box()
        assert box["x"] >= svg["x"]
        assert box["x"] + box["width"] <= svg["x"] + svg["width"] + 1


def test_the_front_of_a_search_is_marked(opened: Open, tmp_path: Path) -> None:
    """A trial is on it if no other is as good in all objectives and better in one. One that diverged never is."""
    losses, ratios = [0.1, 0.2, 0.3, 0.2, 0.05, 0.100001], [1.0, 3.0, 2.0, 3.0, 9.0, 1.00001]

    def change(number: int, choices: Mapping[str, str], result: dict[str, Any]) -> dict[str, Any]:
        metrics = result["metrics"] | {"val/loss": losses[number]}
        status = "diverged" if number == 4 else "ok"
        return result | {"status": status, "metrics": metrics, "verdict": result["verdict"] | {"ratio": ratios[number]}}

    typed = ("sweep.objective=metrics.val/loss,verdict.ratio", "hydra.sweeper.direction=minimize,maximize")
    page = searched(tmp_path / "search", {"optimizer.lr": [*"123456"]}, "optimizer.lr=interval(1,6)", *typed, change=change)
    report = opened(at=page)
    on_it = ["000-job", "001-job", "003-job", "005-job"]
    pair = report.locator("#search .pair")
    assert sorted(dot.get_attribute("data-job") for dot in pair.locator(".dot.front").all()) == on_it
    assert report.text("#search .pair h3") == "verdict.ratio (maximize) against val/loss (minimize)"
    assert pair.locator("path.best").count() == 1
    assert "the front, ringed, is the 4 that no other trial beats in all objectives" in report.text("#search h2")
    assert report.texts("#runs tbody td:first-child")[:4] == on_it
    assert report.texts("#runs tbody td:nth-child(3)") == ["on it"] * 4 + [""] * 2
    # Nor is what diverged the best so far.
    assert "best 0.1 of 6 trials" in report.text("#search h2")
    report.locator("#runs tbody button").first.click()
    assert "It is on the front" in report.text("#drawer")


def test_a_search_of_one_objective_has_no_front(opened: Open, tmp_path: Path) -> None:
    typed = ("sweep.objective=metrics.val/loss", "hydra.sweeper.direction=minimize")
    report = opened(at=searched(tmp_path / "search", {"optimizer.lr": [*"123"]}, *typed))
    assert report.locator(".front, .pair").count() == 0
    assert "front" not in report.texts("#runs th button")


def test_the_version_of_the_code_is_shown_where_there_are_several(opened: Open, tmp_path: Path) -> None:
    digests = ["0123456789abcdef", "fedcba9876543210"]
    for folder, codes in (("several", digests), ("one", digests[:1] * 2)):
        plan = write_sweep(tmp_path / folder, {"activation": ["tanh", "relu"]})
        plan = replace(plan, jobs=tuple(replace(job, code=code) for job, code in zip(plan.jobs, codes, strict=True)))
        write_plan(tmp_path / folder, plan)
        write_summary(tmp_path / folder, plan)
        report = opened(at=tmp_path / folder / "report.html")
        report.locator("#runs tbody button").first.click()
        assert ("Made by version 0123456 of the code." in report.text("#drawer")) == (folder == "several")
        assert ("code" in report.texts("#runs th button")) == (folder == "several")
        report.keyboard.press("Escape")
        if folder == "several":
            assert [row.split()[-1] for row in report.texts("#runs tbody tr")] == ["0123456", "fedcba9"]
            report.leave_out("code", "fedcba9")
            assert report.texts("#runs tbody td:first-child") == ["000-job"]


def test_a_sweep_of_which_all_failed_says_so(opened: Open) -> None:
    failed = {"status": "failed", "error": "MemoryError: no room", "choices": {}}
    report = opened(change=lambda number, choices, result: failed)
    assert report.text("#matrix .notice") == "No run has left a number."


def test_a_remedy_has_a_verb(opened: Open) -> None:
    """As in the terminal. Only the remedy itself is copied."""

    def change(number: int, choices: Mapping[str, str], result: dict[str, Any]) -> dict[str, Any]:
        finding = {"kind": "divergence", "cause": "c", "layer": None, "message": "m", "remedy": "optimizer.lr=0.01"}
        return result | {"status": "diverged", "error": "NaN", "verdict": result["verdict"] | {"findings": [finding]}}

    report = opened({"seed": ["0"]}, change)
    assert report.text("#failures li") == "▲ diverged 000-job NaN try optimizer.lr=0.01"
    report.locator("#failures button").click()
    assert report.texts("#drawer .finding .remedy") == ["try optimizer.lr=0.01 Copy"]
    assert report.texts("#drawer .finding code") == ["optimizer.lr=0.01"]
