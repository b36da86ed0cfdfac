"""The view of a whole sweep beside plans that are odd: hostile, damaged, of a thousand jobs, not yet run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from board import chromium, serving
from synthetic import content, write
from tab import FITS, INJECTION, SweepTab, plan


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("logs")
    hostile = {f"{INJECTION}": [INJECTION, '"><script>window.broken = 1</script>'], "seed": ["0", "__proto__"]}
    for job in plan(folder / "hostile", hostile):
        write(folder / "hostile" / job.name, content(count=3, steps=2), {"class": INJECTION, "ratio": "inf", "findings": []})
    for name in ("list", "outside", "huge"):
        write(folder / name / "00-a", content(count=3, steps=2))
    (folder / "list/sweep.yaml").write_text("- a\n- b\n")
    (folder / "outside/sweep.yaml").write_text("jobs:\n- name: ../list/00-a\n  varied: {a: b}\n")
    (folder / "huge/sweep.yaml").write_text("jobs: [" + "a," * 300_000 + "]")
    many = {"optimizer.lr": [str(0.001 * n) for n in range(1, 101)], "model.depth": ["5", "10"], "seed": list("01234")}
    write(folder / "many/000-job", content(count=3, steps=2))
    for job in plan(folder / "thousand", many):
        (folder / "thousand" / job.name).mkdir()
        (folder / "thousand" / job.name / "flow.npz").hardlink_to(folder / "many/000-job/flow.npz")
    with serving("--logdir", folder) as url:
        yield url


@pytest.fixture
def tab(browser: Any, server: str) -> Iterator[SweepTab]:
    opened = SweepTab(browser, server, alone=True)
    opened.page.set_default_timeout(10_000)
    yield opened
    opened.page.close()
    assert [error for error in opened.errors if "422" not in error] == []


def test_text_of_a_plan_is_text(tab: SweepTab) -> None:
    tab.show("hostile")
    tab.all_drawn(4)
    assert tab.frame.get_by_label("Columns").input_value() == INJECTION
    assert tab.frame.locator(".head").first.inner_text() == INJECTION
    assert INJECTION in tab.says(tab.frame.locator("button.cell").first)
    tab.frame.locator("button.cell").first.hover()
    assert INJECTION in tab.text("#tip")
    tab.frame.get_by_label("Rows").select_option("seed")
    tab.all_drawn(4)
    assert tab.frame.locator(".side span").all_inner_texts() == ["0", "__proto__"]
    assert tab.frame.locator("img").count() == 0
    assert tab.page.evaluate("window.broken") is None
    assert tab.page.evaluate(FITS)


def test_a_plan_that_cannot_be_read_is_refused_in_a_sentence(tab: SweepTab) -> None:
    for name, reason in {"list": "is damaged", "outside": "is damaged: a job has a name", "huge": "is too large"}.items():
        tab.show(name)
        tab.frame.locator("#multiples .notice", has_text=f"The file sweep.yaml of {name} {reason}").wait_for()
        assert tab.frame.locator("#grid").is_hidden()
    tab.show("hostile")
    tab.all_drawn(4)


def test_of_a_thousand_jobs_only_those_in_sight_are_read(tab: SweepTab) -> None:
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url) if "/record" in request.url else None)
    tab.show("thousand")
    tab.frame.locator("button.cell path.measured").first.wait_for()
    tab.frame.get_by_label("Rows").select_option("optimizer.lr")
    tab.frame.get_by_label("Columns").select_option("model.depth")
    tab.frame.locator("#remarks", has_text="Not shown: 40 of the 100 values of optimizer.lr.").wait_for()
    bottom = tab.frame.locator("button.cell").last
    assert bottom.locator("path.measured").count() == 0
    bottom.scroll_into_view_if_needed()
    bottom.locator("path.measured").nth(4).wait_for()
    assert 0 < len(asked) < 500
    assert len(asked) == len(set(asked))


def test_the_view_follows_what_is_measured(browser: Any, tmp_path: Path) -> None:
    plan(tmp_path / "grid", {"activation": ["relu"], "init": ["he", "xavier"], "seed": ["0"]})
    healthy = {"class": "healthy", "ratio": 1.0, "rate_per_layer": 1.0, "findings": []}
    write(tmp_path / "grid/000-job", content(count=20, steps=4, rate=1.0))
    with serving("--logdir", tmp_path) as url:
        tab = SweepTab(browser, url, alone=True, clock=True)
        tab.show("grid")
        tab.all_drawn(1)
        assert [tab.says(cell) for cell in tab.frame.locator("button.cell").all()] == [
            "no verdict n = 1",
            "no record",
        ]
        before = tab.frame.locator("#grid path.measured").get_attribute("d")
        write(tmp_path / "grid/000-job", content(count=20, steps=4, rate=0.5), healthy)
        tab.looks_for_news()
        tab.page.wait_for_function(
            "old => document.querySelector('#grid path.measured').getAttribute('d') !== old", arg=before
        )
        assert tab.says(tab.frame.locator("button.cell").first).startswith("healthy")
        write(tmp_path / "grid/001-job", content(count=20, steps=4, rate=1.0), healthy)
        tab.looks_for_news()
        tab.all_drawn(2)
        tab.page.close()
