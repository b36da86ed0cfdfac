"""The view of a whole sweep in a real browser: what the cells draw, how they are grouped, and how they are reached."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from board import chromium, serving
from gradpath.sweep.plan import Planned
from synthetic import content, write
from tab import FITS, SweepTab, plan

ACTIVATIONS, INITS = ["sigmoid", "tanh", "relu", "gelu", "selu"], ["xavier", "he", "lecun", "critical"]
GRID = {"activation": ACTIVATIONS, "init": INITS, "seed": ["0", "1", "2"]}
RATES = {"sigmoid": 0.3, "tanh": 0.9, "relu": 1.0, "gelu": 1.1, "selu": 1.3}
DEPTH = 20
FAILED, ABSENT = ("gelu", "lecun"), ("tanh", "he", "1")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as launched:
        yield launched


def record(job: Planned) -> dict[str, Any]:
    rate = RATES[job.varied["activation"]] * (1 + 0.02 * INITS.index(job.varied["init"]))
    return content(count=DEPTH, steps=4, rate=rate, seed=job.number)


def verdict(job: Planned) -> dict[str, Any]:
    """In one cell, the runs are not all of one class."""
    rate = RATES[job.varied["activation"]]
    kind = "vanishing" if rate < 0.5 else "exploding" if rate > 1.2 else "healthy"
    if (job.varied["activation"], job.varied["seed"]) == ("selu", "2"):
        kind = "healthy"
    return {"class": kind, "ratio": rate, "rate_per_layer": rate, "findings": [], "end": {"class": "healthy", "ratio": 2.0}}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    for job in plan(folder / "other", {"activation": ["relu"], "seed": ["0", "1"]}):
        write(folder / "other" / job.name, content(count=3, steps=2))
    for job in plan(folder / "sweeps/grid", GRID):
        values = tuple(job.varied.values())
        if values[:2] == FAILED:
            (folder / "sweeps/grid" / job.name).mkdir()
            (folder / "sweeps/grid" / job.name / "result.json").write_text('{"status": "failed", "error": "no"}')
        elif values != ABSENT:
            write(folder / "sweeps/grid" / job.name, record(job), verdict(job))
    return folder


@pytest.fixture(scope="module")
def server(logs: Path) -> Iterator[str]:
    with serving("--logdir", logs) as url:
        yield url


@pytest.fixture(scope="module")
def opened(browser: Any, server: str) -> Iterator[SweepTab]:
    tab = SweepTab(browser, server, alone=True)
    tab.page.set_default_timeout(10_000)
    yield tab
    tab.page.close()


@pytest.fixture
def tab(opened: SweepTab) -> Iterator[SweepTab]:
    """One page for all tests. A sweep that is chosen again is grouped as at first."""
    opened.page.mouse.move(2, 2)
    opened.show("other")
    yield opened
    assert opened.errors == []


@pytest.fixture
def sixty(tab: SweepTab) -> SweepTab:
    tab.show("sweeps/grid")
    tab.frame.get_by_text("First", exact=True).click()
    tab.all_drawn(56)
    return tab


def points(path: str) -> Any:
    """The places of a curve, (L, 2)."""
    return np.array([[float(number) for number in point.split()] for point in path[1:].split("L")])


def drawn(tab: SweepTab) -> dict[str, Any]:
    paths = tab.frame.locator("#grid path.measured").evaluate_all(
        "all => all.map(p => [p.dataset.run, p.getAttribute('d')])"
    )
    return {name.rpartition("/")[2]: points(path) for name, path in paths}


def planned() -> dict[str, Planned]:
    values = (dict(zip(GRID, chosen, strict=True)) for chosen in itertools.product(*GRID.values()))
    return {f"{n:03d}-job": Planned(n, f"{n:03d}-job", [], chosen, "", "") for n, chosen in enumerate(values)}


@pytest.mark.parametrize(("step", "row"), [("First", 0), ("Last", -1)])
def test_every_cell_draws_its_records_on_one_scale(sixty: SweepTab, step: str, row: int) -> None:
    """Over all cells, heights are one straight line in the logarithms of the ratios."""
    sixty.frame.get_by_text(step, exact=True).click()
    sixty.frame.locator("#caption", has_text=f"{step.lower()} measured step").wait_for()
    curves, jobs = drawn(sixty), planned()
    deltas = {name: record(jobs[name])["delta"][row] for name in curves}
    expected = np.concatenate([np.log10(deltas[name] / deltas[name][-2]) for name in curves])
    heights = np.concatenate([curves[name][:, 1] for name in curves])
    slope, offset = np.polyfit(expected, heights, 1)
    assert slope < 0
    np.testing.assert_allclose(heights, slope * expected + offset, atol=0.1)
    bottom = float(sixty.frame.locator("button.cell svg").first.get_attribute("height"))
    assert heights.min() > 0
    assert bottom / 2 < np.ptp(heights) < heights.max() < bottom
    across = {tuple(curve[:, 0]) for curve in curves.values()}
    assert len(across) == 1
    np.testing.assert_allclose(np.diff(next(iter(across))), np.ptp(next(iter(across))) / (DEPTH - 1), atol=0.11)


def test_the_marks_of_the_scale_stand_where_their_values_are(sixty: SweepTab) -> None:
    curve, delta = drawn(sixty)["000-job"], record(planned()["000-job"])["delta"][0]
    marks = sixty.frame.locator(".side").first.locator("text")
    heights = {mark.text_content(): float(mark.get_attribute("y")) - 4 for mark in marks.all()}
    assert {"1", "10⁻⁴"} <= set(heights)
    slope, offset = np.polyfit(np.log10(delta / delta[-2]), curve[:, 1], 1)
    assert heights["1"] == pytest.approx(offset, abs=0.5)
    assert heights["10⁻⁴"] == pytest.approx(offset - 4 * slope, abs=0.5)
    assert len(heights) < 8
    plot, side = (sixty.frame.locator(s).first.bounding_box() for s in ("button.cell svg", ".side svg"))
    assert plot["y"] == pytest.approx(side["y"], abs=1)


def test_theory_is_drawn_beside_the_measured_profile(sixty: SweepTab) -> None:
    cell = sixty.cell(activation="relu", init="xavier")
    theory = points(cell.locator("path.theory").first.get_attribute("d"))[:, 1]
    assert np.ptp(theory) < 0.2, "here theory says that the gradient stays as it is"
    assert len(theory) == DEPTH - 1


def test_seeds_are_over_each_other_and_words_say_what_they_are(sixty: SweepTab) -> None:
    assert sixty.says(sixty.cell(activation="sigmoid", init="xavier")) == "vanishing n = 3 (seed)"
    mixed = sixty.cell(activation="selu", init="he")
    assert sixty.says(mixed) == "2 exploding, 1 healthy n = 3 (seed)"
    assert mixed.get_attribute("data-class") == "soft"
    assert "The lines in a cell differ in seed." in sixty.text("#remarks")
    assert sixty.text("#counts") == "60 jobs, of which 56 are read: vanishing 12 healthy 36 exploding 8 no record 1 failed 3"


def test_what_has_no_record_is_named(sixty: SweepTab) -> None:
    failed = sixty.cell(activation="gelu", init="lecun")
    assert sixty.says(failed) == "failed n = 0 of 3"
    assert failed.locator("path.measured").count() == 0
    failed.click()
    assert failed.is_visible(), "there is nothing to show in Runs"
    part = sixty.cell(activation="tanh", init="he")
    assert sixty.says(part) == "healthy n = 2 of 3 (seed)"
    part.hover()
    assert "no record" in sixty.text("#tip")


def test_runs_are_grouped_by_the_chosen_keys(sixty: SweepTab) -> None:
    jobs = planned()

    def expect(rows: str, columns: str) -> None:
        for row, column in itertools.product(GRID[rows], GRID[columns]):
            members = {name for name, job in jobs.items() if (job.varied[rows], job.varied[columns]) == (row, column)}
            shown = sixty.runs(sixty.cell(**{rows: row, columns: column}))
            assert shown == {name for name in members if usable(jobs[name])}

    assert sixty.frame.locator(".head").all_inner_texts() == ACTIVATIONS
    assert [text.split("\n")[0] for text in sixty.frame.locator(".side span").all_inner_texts()] == INITS
    expect("init", "activation")
    sixty.frame.get_by_label("Columns").select_option("seed")
    sixty.all_drawn(56)
    assert sixty.frame.locator(".head").all_inner_texts() == ["0", "1", "2"]
    expect("init", "seed")
    sixty.frame.get_by_label("Rows").select_option("seed")
    sixty.all_drawn(56)
    expect("seed", "init")


def usable(job: Planned) -> bool:
    values = tuple(job.varied.values())
    return values[:2] != FAILED and values != ABSENT


def test_a_click_shows_the_runs_of_a_cell(sixty: SweepTab) -> None:
    cell = sixty.cell(activation="relu", init="critical")
    names = {f"sweeps/grid/{name}" for name in sixty.runs(cell)}
    cell.click()
    sixty.frame.locator(".panel canvas").nth(2).wait_for()
    ticked = {box.get_attribute("data-run") for box in sixty.frame.locator("#runs input:checked").all()}
    assert ticked == names
    assert len(ticked) == 3
    assert sixty.text("#readout") == "step 0 of 30"
    assert sixty.frame.locator("#grid").is_hidden()


def test_the_keyboard_alone_goes_through_the_view(tab: SweepTab) -> None:
    press = tab.page.keyboard.press
    tab.frame.locator("#shown input").last.focus()
    press("ArrowLeft")
    assert tab.frame.locator("#grid").is_hidden()
    press("ArrowRight")
    tab.frame.get_by_label("Sweep", exact=True).last.select_option("sweeps/grid")
    tab.all_drawn(56)
    for _ in range(10):
        press("Tab")
        if tab.frame.locator("button.cell:focus").count():
            break
    focused = tab.frame.locator("button.cell:focus")
    assert "init=xavier, activation=sigmoid" in focused.get_attribute("aria-label")
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowRight"):
        press(key)
    assert "init=lecun, activation=relu" in focused.get_attribute("aria-label")
    assert re.match(
        r"init=lecun, activation=relu n = 3, which differ in seed \d+-job healthy, first / last 1 ", tab.text("#tip")
    )
    press("ArrowRight")
    press("ArrowRight")
    press("Enter")
    tab.frame.locator(".panel canvas").nth(2).wait_for()
    assert tab.frame.locator("#shown input:focus").get_attribute("value") == "runs"
    press("ArrowRight")
    assert tab.frame.locator("#grid").is_visible()


def test_sixty_runs_are_seen_at_once(sixty: SweepTab) -> None:
    """TensorBoard's own bar takes 64 pixels of a window."""
    for width, height in ((1920, 1016), (1280, 736)):
        sixty.page.set_viewport_size({"width": width, "height": height})
        sixty.page.wait_for_function("document.querySelector('#grid').getBoundingClientRect().right > innerWidth - 60")
        sixty.all_drawn(56)
        boxes = [cell.bounding_box() for cell in sixty.frame.locator("button.cell").all()]
        assert len(boxes) == 20
        assert all(box["x"] + box["width"] <= width and box["y"] + box["height"] <= height for box in boxes)
        assert min(box["height"] for box in boxes) > 100
        assert sixty.page.evaluate(FITS)
        assert max(box["width"] for box in boxes) < 340
