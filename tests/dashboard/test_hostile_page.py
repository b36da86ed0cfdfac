"""The page in a real browser beside records that mean harm: what is said of them, and that the rest stays usable."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from board import chromium, serving
from hostile import HOSTILE, axes, copy, npz, put
from synthetic import VANISHING, content, write
from tab import Tab

RUNS = 3_000
LONG = "x" * 200


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    logs = tmp_path_factory.mktemp("hostile")
    random = np.random.default_rng(2026)
    for name in ("honest_bomb", "long_names", "many_findings", "long_verdict"):
        put(logs / name, HOSTILE[name](random))
    nan = np.full((3, 10_000), np.nan)
    put(logs / "wide", npz(axes(3, 10_000) | {"delta": nan, "theory_delta": nan[0], "update_ratio": nan}))
    far = axes(3, 2) | {"step": np.array([0, 2**52, 2**53]), "delta": np.ones((3, 2)), "q" * 200: np.ones((3, 2))}
    put(logs / "far", npz(far))
    put(logs / LONG / LONG, npz({"layer": np.array(["a"])}))
    write(logs / "small", content(), VANISHING)
    with serving("--logdir", logs) as url:
        yield url


@pytest.fixture
def tab(browser: Any, server: str) -> Iterator[Tab]:
    opened = Tab(browser, server, alone=True)
    yield opened
    opened.page.close()
    assert [error for error in opened.errors if "422" not in error] == []


def test_a_refused_record_is_named_in_a_line_beside_the_others(tab: Tab) -> None:
    tab.choose("honest_bomb", "small")
    notice = tab.panel("honest_bomb").locator(".notice")
    assert notice.inner_text().startswith("The record of honest_bomb is too large: `delta` takes ")
    assert notice.bounding_box()["height"] < 80
    assert tab.colours("small") > 50
    tab.choose("long_verdict")
    assert "The verdict is too large: it takes " in tab.panel("long_verdict").inner_text()
    tab.panel("long_verdict").locator("canvas").wait_for()


@pytest.mark.parametrize("name", ["long_names", "many_findings", f"{LONG}/{LONG}", "wide", "far", "long_verdict"])
def test_nothing_runs_over_the_edge(tab: Tab, name: str) -> None:
    """Texts are one word of hundreds of characters."""
    tab.choose(name, "small")
    tab.page.mouse.move(500, 400)
    for element in ("document.documentElement", "document.querySelector('main')", "document.querySelector('aside')"):
        assert tab.page.evaluate(f"{element}.scrollWidth <= {element}.clientWidth"), element
    over = """() => [...document.querySelectorAll(".panel *, .below *")].filter(part => !part.closest("svg"))
        .filter(part => part.getBoundingClientRect().right > innerWidth).map(part => part.outerHTML.slice(0, 200))"""
    assert tab.page.evaluate(over) == []


def test_a_quantity_with_a_long_name(tab: Tab) -> None:
    tab.choose("far")
    tab.frame.locator("#quantity").select_option("q" * 200)
    tab.frame.locator("#colours", has_text="qqq…").wait_for()
    assert tab.page.evaluate("document.querySelector('main').scrollWidth <= document.querySelector('main').clientWidth")


def test_steps_without_end(tab: Tab) -> None:
    tab.choose("far")
    assert tab.text("#readout") == "step 9,007,199,254,740,992 (newest)"
    tab.frame.locator("#step").press("Home")
    assert tab.text("#readout") == "step 0 of 9,007,199,254,740,992"


def test_thousands_of_runs_are_listed_and_filtered_at_once(browser: Any, tmp_path: Path) -> None:
    write(tmp_path / "sweep/0000", content(count=3, steps=3))
    copy(tmp_path / "sweep/0000", [tmp_path / f"sweep/{index:04d}" for index in range(1, RUNS)])
    with serving("--logdir", tmp_path) as url:
        tab = Tab(browser, url, alone=True)
        assert tab.frame.locator("#runs input").count() == RUNS
        start = time.monotonic()
        tab.frame.get_by_placeholder("Filter").fill("29 9")
        tab.frame.get_by_placeholder("Filter").fill("")
        print(f"filtered twice in {time.monotonic() - start:.2f} s")
        assert time.monotonic() - start < 5
        tab.page.close()


def test_six_large_records_are_shown_one_after_another(browser: Any, tmp_path: Path) -> None:
    """The plugin answers "not yet" to some of six requests at once. Until then no other quantity is drawn in their place."""
    noise = np.random.default_rng(0).random((160_000, 50))
    names = [f"large_{index}" for index in range(6)]
    write(tmp_path / "small", content())
    put(tmp_path / names[0], npz(axes(160_000, 50) | {"delta": np.ones((160_000, 50)), "update_ratio": noise}))
    copy(tmp_path / names[0], [tmp_path / name for name in names[1:]])
    with serving("--logdir", tmp_path) as url:
        tab = Tab(browser, url, alone=True, clock=True)
        statuses: list[int] = []
        tab.page.on("response", lambda answer: statuses.append(answer.status))
        tab.choose(*names)
        tab.frame.locator("#quantity").select_option("update_ratio")
        tab.frame.locator("#colours", has_text="ΔW").wait_for()
        end = time.monotonic() + 120
        while tab.frame.locator(".panel canvas").count() < len(names) and time.monotonic() < end:
            tab.looks_for_news()
            tab.page.wait_for_timeout(500)
        assert len({tab.curve(name) for name in names}) == 1, "some panels show another quantity"
        assert 503 in statuses
        tab.page.close()
