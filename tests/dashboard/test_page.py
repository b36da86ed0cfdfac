"""The tab in a real browser: what is drawn, what moves, what is said, and that nothing is blocked or fails."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from board import chromium, serving
from gradpath.config.checks import PROJECT
from synthetic import HEALTHY, VANISHING, content, write
from tab import INJECTION, Tab

REFERENCE = (247, 247, 247)  # the middle of the diverging scale: 1


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    logs = tmp_path_factory.mktemp("logs")
    write(logs / "hundred", special(content(count=100, steps=40, rate=0.8)))
    write(logs / "hostile", content(count=3) | {"layer": np.array([INJECTION, "b", "c"])}, hostile())
    write(logs / "shallow", content(count=3, steps=5, every=500))
    write(logs / "healthy", content(rate=1.0, seed=1), HEALTHY)
    write(logs / "sigmoid", content(), VANISHING)
    with serving("--logdir", logs) as url:
        yield url


@pytest.fixture
def tab(browser: Any, server: str) -> Iterator[Tab]:
    opened = Tab(browser, server, alone=True)
    yield opened
    opened.page.close()
    assert opened.errors == []


def special(arrays: dict[str, Any]) -> dict[str, Any]:
    """A record whose bottom layer is NaN, then 0, then infinite."""
    for start, value in ((0, np.nan), (10, 0), (20, np.inf)):
        arrays["delta"][start : start + 10, :10] = value
    return arrays


def hostile() -> dict[str, Any]:
    finding = dict.fromkeys(("kind", "cause", "layer", "message", "remedy"), INJECTION)
    return {"class": INJECTION, "ratio": "inf", "rate_per_layer": None, "undecided": INJECTION, "findings": [finding]}


def test_the_two_newest_runs_are_shown_first(tab: Tab) -> None:
    assert [box.get_attribute("data-run") for box in tab.frame.locator("#runs input:checked").all()] == [
        "sigmoid",
        "healthy",
    ]
    assert tab.frame.locator(".panel").count() == 2
    assert tab.frame.locator("#shown").is_hidden(), "there is no sweep"


def test_the_heat_map_shows_the_gradient_vanish(tab: Tab) -> None:
    assert tab.colours("sigmoid") > 50
    top, last_hidden, bottom = (tab.pixel("sigmoid", 0, (row + 0.5) / 13) for row in (0, 1, 12))
    assert last_hidden == REFERENCE
    assert top[0] > top[2], "above the last hidden layer the gradient is larger: orange"
    assert bottom[2] > bottom[0] + 50, "at the input it has vanished: blue"
    assert sum(bottom) < sum(tab.pixel("sigmoid", 0, 6.5 / 13)) < sum(last_hidden)


def test_two_runs_share_the_colours(tab: Tab) -> None:
    assert all(abs(channel - 247) < 12 for channel in tab.pixel("healthy", 0.5, 12.5 / 13))
    tab.choose("healthy")
    assert tab.frame.locator(".panel").count() == 1
    alone = tab.pixel("healthy", 0.5, 12.5 / 13)
    tab.choose("healthy", "sigmoid")
    assert tab.frame.locator(".panel").count() == 2
    assert tab.pixel("healthy", 0.5, 12.5 / 13) != alone, "a narrower scale shows more of a healthy run"
    assert tab.frame.locator("path.measured").count() == 2
    assert tab.frame.locator("path.theory").count() == 2
    for band in ("of-theory", "of-seeds"):
        assert tab.frame.locator(f"path.{band}").count() == 2


def test_the_slider_moves_the_profile(tab: Tab) -> None:
    assert tab.text("#readout") == "step 1,990 (newest)"
    last, mark = tab.curve("sigmoid"), tab.frame.locator(".now").first.get_attribute("x1")
    tab.frame.locator("#step").press("Home")
    assert tab.text("#readout") == "step 0 of 1,990"
    assert tab.curve("sigmoid") != last
    assert float(tab.frame.locator(".now").first.get_attribute("x1")) < float(mark or 0)
    tab.frame.locator("#step").press("ArrowRight")
    assert tab.text("#readout") == "step 10 of 1,990"


def test_the_profile_is_the_recorded_one(tab: Tab) -> None:
    """Heights on a logarithmic axis are the logarithms of the ratios, up to a straight line."""
    tab.choose("sigmoid")
    tab.frame.locator("#step").press("Home")
    heights = [float(point.split()[1]) for point in tab.curve("sigmoid")[1:].split("L")]
    delta = content()["delta"][0]
    expected = np.log10(delta / delta[-2])
    slope, offset = np.polyfit(expected, heights, 1)
    assert slope < 0
    np.testing.assert_allclose(heights, slope * expected + offset, atol=0.1)


def test_a_shorter_run_is_shown_at_its_last_step_before(tab: Tab) -> None:
    tab.choose("sigmoid", "shallow")
    tab.frame.locator("#step").press("Home")
    for _ in range(3):
        tab.frame.locator("#step").press("ArrowRight")
    assert tab.text("#readout") == "step 30 of 2,000"
    assert "shallow (step 0)" in tab.text(".legend")


def test_the_tooltip_reads_a_cell(tab: Tab) -> None:
    tab.choose("sigmoid")
    box = tab.panel("sigmoid").locator("canvas").bounding_box()
    tab.page.mouse.move(box["x"] + 1, box["y"] + box["height"] - 3)
    delta = content()["delta"][0]
    mantissa, exponent = f"{delta[0] / delta[-2]:.1e}".split("e-0")
    assert tab.text("#tip").startswith(f"hidden_01 step 0 {mantissa} × 10⁻{'⁰¹²³⁴⁵⁶⁷⁸⁹'[int(exponent)]} × last hidden layer")
    tab.page.mouse.move(2, 2)
    assert tab.frame.locator("#tip").is_hidden()


def test_a_click_chooses_the_step(tab: Tab) -> None:
    box = tab.panel("sigmoid").locator("canvas").bounding_box()
    tab.page.mouse.click(box["x"] + box["width"] / 2 + 1, box["y"] + 20)
    assert tab.text("#readout") == "step 1,000 of 1,990"


def test_the_keyboard_walks_through_the_heat_map(tab: Tab) -> None:
    tab.choose("sigmoid")
    overlay = tab.panel("sigmoid").locator("svg")
    overlay.focus()
    overlay.press("ArrowUp")
    assert tab.text("#tip").startswith("hidden_02 step 1,990")
    overlay.press("ArrowLeft")
    assert tab.text("#tip").startswith("hidden_02 step 1,980")
    assert tab.text("#readout") == "step 1,980 of 1,990"


def test_the_verdict_and_its_remedy(tab: Tab) -> None:
    tab.choose("sigmoid")
    assert tab.text(".verdict") == (
        "start vanishing first / last 1.4 × 10⁻⁷ per layer 0.24 end vanishing first / last 3.9 × 10⁻⁶ per layer 0.32"
    )
    first = VANISHING["findings"][0]
    assert VANISHING["deviation"]["sentence"] in tab.frame.locator(".deviation").first.inner_text()
    headings = [" ".join(heading.split()) for heading in tab.frame.locator(".finding h3").all_inner_texts()]
    assert headings == ["vanishing activation, hidden_01", "correlation collapse activation"]
    assert tab.text(".finding p") == first["message"]
    assert tab.text(".finding code") == first["remedy"]
    tab.choose("healthy")
    assert "healthy" in tab.text(".verdict")
    assert tab.frame.locator(".finding").count() == 0


def test_text_of_a_record_is_text(tab: Tab) -> None:
    tab.choose("hostile")
    assert tab.text(".finding h3") == f"{INJECTION} {INJECTION}, {INJECTION}"
    assert tab.text(".finding code") == INJECTION
    assert INJECTION in tab.text(".verdict")
    assert tab.frame.locator("img").count() == 0
    assert tab.page.evaluate("window.broken") is None


def test_absolute_values_and_other_quantities(tab: Tab) -> None:
    tab.choose("sigmoid")
    relative = tab.pixel("sigmoid", 0.5, 0.5)
    tab.frame.locator("#mode").get_by_text("Absolute").click()
    assert tab.pixel("sigmoid", 0.5, 0.5) != relative
    assert "|δ| (root mean square over samples)" in tab.text("#colours")
    tab.frame.locator("#quantity").select_option("saturated")
    tab.frame.get_by_text("saturated units (fraction of all)").first.wait_for()
    assert tab.frame.locator("#mode input").first.is_disabled()
    assert tab.frame.locator("path.theory").count() == 0
    tab.choose("sigmoid", "healthy")
    assert tab.frame.locator("#quantity").input_value() == "saturated"


def test_a_hundred_layers_stay_legible(tab: Tab) -> None:
    tab.choose("hundred")
    labels = tab.panel("hundred").locator("svg text[text-anchor=end]")
    boxes = sorted((box.bounding_box() for box in labels.all()), key=lambda box: box["y"])
    assert 5 < len(boxes) < 40
    assert all(above["y"] + 0.8 * above["height"] <= below["y"] for above, below in pairwise(boxes))


def test_what_has_no_number_has_its_own_colour_and_legend(tab: Tab) -> None:
    tab.choose("hundred")
    assert tab.text("#colours .specials") == "no value 0 ∞"
    seen = {tab.pixel("hundred", across, 0.96) for across in (0.1, 0.11, 0.12, 0.37, 0.38, 0.62, 0.63, 0.64)}
    assert {(17, 17, 17), (208, 28, 139)} < seen
    assert {(140, 149, 159), (216, 222, 228)} & seen
    tab.frame.locator("#step").press("Home")
    assert tab.frame.locator("#profile path.missing title").first.text_content() == "not measured or NaN"
    assert tab.curve("hundred").startswith("M"), "the measured layers are drawn all the same"


def test_the_filter_finds_a_run(tab: Tab) -> None:
    tab.frame.get_by_placeholder("Filter").fill("SIG moid")
    assert [box.get_attribute("data-run") for box in tab.frame.locator("#runs input").all()] == ["sigmoid"]


def test_every_module_loads(browser: Any, server: str) -> None:
    tab = Tab(browser, server)
    modules = {path.name for path in (PROJECT / "src/gradpath/dashboard/static").glob("*.js")}
    entries = "() => performance.getEntriesByType('resource').map(entry => entry.name)"
    frame = next(frame for frame in tab.page.frames if frame != tab.page.main_frame)
    loaded = {url.rsplit("/", 1)[1] for url in frame.evaluate(entries) if url.endswith(".js") and "gradient_flow/" in url}
    assert loaded == modules, "a module that nothing imports is dead"
    assert tab.errors == []
    tab.page.close()


def test_dark_mode_is_followed(browser: Any, server: str) -> None:
    tab = Tab(browser, server)
    tab.page.evaluate("document.body.classList.add('dark-mode')")
    tab.frame.locator("html[data-theme=dark]").wait_for(state="attached")
    tab.page.evaluate("document.body.classList.remove('dark-mode')")
    tab.frame.locator("html[data-theme=light]").wait_for(state="attached")
    assert tab.errors == []
    tab.page.close()


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1920, 1080)])
def test_all_of_two_runs_is_seen_at_once(browser: Any, server: str, width: int, height: int) -> None:
    tab = Tab(browser, server, width, height)
    for selector in ("#colours", ".panel canvas", "#step", "#profile svg", "#findings"):
        box = tab.frame.locator(selector).last.bounding_box()
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= height + 1
    assert tab.errors == []
    tab.page.close()


def test_a_run_is_found_and_followed_without_a_reload(browser: Any, tmp_path: Path) -> None:
    with serving("--logdir", tmp_path) as url:
        tab = Tab(browser, url, clock=True)
        assert "python train.py probe=standard" in tab.text(".empty")
        assert 'with probe(model, folder="logs/mine"):' in tab.text(".empty")
        assert tab.frame.locator("#step").is_hidden()
        write(tmp_path / "run", steps=5)
        tab.looks_for_news()
        tab.frame.get_by_text("step 40 (newest)").wait_for()
        write(tmp_path / "run", steps=8)
        tab.looks_for_news()
        tab.frame.get_by_text("step 70 (newest)").wait_for()
        tab.frame.locator("#step").press("Home")
        tab.frame.locator("#step").press("ArrowRight")
        write(tmp_path / "run", steps=20)
        write(tmp_path / "second", steps=5)
        tab.looks_for_news()
        tab.frame.get_by_text("step 10 of 190").wait_for()
        tab.frame.get_by_label("second").wait_for()
        assert tab.frame.locator("#runs input").count() == 2
        tab.frame.locator("#step").press("End")
        assert tab.text("#readout") == "step 190 (newest)"
        assert tab.errors == []
        tab.page.close()


def test_a_damaged_record_is_named_and_the_rest_works(browser: Any, tmp_path: Path) -> None:
    write(tmp_path / "good")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/flow.npz").write_bytes((tmp_path / "good/flow.npz").read_bytes()[:3000])
    with serving("--logdir", tmp_path) as url:
        tab = Tab(browser, url, clock=True)
        tab.panel("good").locator("canvas").wait_for()
        assert tab.text(".notice").startswith("The record of broken is damaged:")
        assert tab.colours("good") > 50
        write(tmp_path / "broken")
        tab.looks_for_news()
        tab.panel("broken").locator("canvas").wait_for()
        assert [error for error in tab.errors if "422" not in error] == []
        tab.page.close()
