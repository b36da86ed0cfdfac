"""`report.html` in a real browser, opened from disk: what it shows is what the jobs left, and nothing leaves the file."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from board import chromium
from gradpath.sweep.plan import write_plan
from gradpath.sweep.report import write_run_report
from gradpath.sweep.summary import write_summary
from report_page import Open, Report, opening
from synthetic_sweep import GRID, loss, write_sweep

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>'\"\u2028<!--<script>"
WIDE = {"activation": ["sigmoid", "tanh", "relu"], "optimizer.lr": ["0.3", "0.01", "3"], "seed": ["0", "1", "2"]}
READ: dict[str, Callable[[Mapping[str, Any]], float | None]] = {
    "test/accuracy": lambda result: result["metrics"].get("test/accuracy"),
    "val/loss": lambda result: result["metrics"].get("val/loss"),
    "ratio": lambda result: result["verdict"]["ratio"],
    "seconds": lambda result: sum(result["durations"].values()),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Open]:
    with opening(browser, tmp_path) as call:
        yield call


def with_ends(number: int, choices: Mapping[str, str], result: dict[str, Any]) -> dict[str, Any] | None:
    """Some jobs failed, some diverged, and one has not ended."""
    if choices["activation"] == "relu" and choices.get("optimizer.lr") == "3":
        metrics = {"train/loss": "nan", "val/loss": "inf"}
        return result | {
            "status": "diverged",
            "error": "NaN or Inf first at step 3 in hidden_02",
            "metrics": metrics,
            "profile_end": None,
        }
    if number == 1:
        return {
            "status": "failed",
            "error": "MemoryError: no room",
            "traceback": "Traceback ...\nMemoryError",
            "choices": {},
        }
    return None if number == 5 else result


def results(folder: Path) -> list[tuple[dict[str, str], dict[str, Any]]]:
    """What was typed for each job that has ended, and its result."""
    found = []
    for path in sorted(folder.glob("*/result.json")):
        result = json.loads(path.read_text())
        found.append((result["choices"], result))
    return found


def expected(values: list[float], geometric: bool) -> tuple[float, float, int]:
    """Mean, standard deviation and count, with numpy."""
    finite = np.array([value for value in values if isinstance(value, int | float) and math.isfinite(value)])
    if geometric:
        finite = np.log10(finite)
    mean = float(np.mean(finite)) if len(finite) else math.nan
    return 10**mean if geometric else mean, float(np.std(finite, ddof=1)) if len(finite) > 1 else math.nan, len(finite)


def check_matrix(report: Report, folder: Path, metric: str, rows: str, columns: str, left_out: Mapping[str, str]) -> int:
    """Compares every cell with what the results say. Returns the number of cells."""
    kept = [
        (choices, result) for choices, result in results(folder)
        if choices and all(choices[key] != value for key, value in left_out.items())
    ]  # fmt: skip
    cells = report.locator("#matrix td").all()
    for cell in cells:
        row, column = cell.get_attribute("data-row"), cell.get_attribute("data-column")
        inside = [result for choices, result in kept if choices[rows] == row and choices[columns] == column]
        mean, sd, n = expected([READ[metric](result) for result in inside], metric == "ratio")
        assert int(cell.get_attribute("data-n")) == n
        if n:
            assert float(cell.get_attribute("data-mean")) == pytest.approx(mean, rel=1e-3)
            shown = cell.locator("b").inner_text()
            if "×" not in shown:
                assert float(shown.replace("−", "-")) == pytest.approx(mean, rel=6e-3)
        if n > 1:
            assert float(cell.get_attribute("data-sd")) == pytest.approx(sd, abs=1e-3 * max(1, abs(mean)))
            assert f"n {n}" in cell.inner_text()
    return len(cells)


@pytest.mark.parametrize("metric", READ)
def test_the_matrix_has_the_means_of_the_results(opened: Open, tmp_path: Path, metric: str) -> None:
    report = opened(WIDE, with_ends)
    report.choose("matrix", "Colour", metric)
    for rows, columns in (("activation", "optimizer.lr"), ("seed", "activation"), ("optimizer.lr", "seed")):
        report.choose("matrix", "Rows", rows)
        report.choose("matrix", "Columns", columns)
        assert check_matrix(report, tmp_path / "sweep", metric, rows, columns, {}) == 9


def test_numbers_of_an_axis_are_sorted(opened: Open) -> None:
    report = opened(WIDE)
    report.choose("matrix", "Columns", "optimizer.lr")
    assert report.texts("#matrix thead th")[1:] == ["0.01", "0.3", "3"]


def test_the_ratio_has_a_diverging_scale_with_1_in_the_middle(opened: Open) -> None:
    report = opened()
    report.choose("matrix", "Colour", "ratio")
    colours = {}
    for activation in ("sigmoid", "tanh"):
        style = report.locator(f'#matrix td[data-column="{activation}"]').first.get_attribute("style")
        colours[activation] = [int(part) for part in style.split("(")[1].rstrip(")").split()]
    assert colours["sigmoid"][2] > colours["sigmoid"][0] + 50, "vanished: blue"
    assert all(abs(channel - 247) < 25 for channel in colours["tanh"]), "near 1: the neutral middle"
    assert report.locator(".colours svg").get_attribute("aria-label") == "Colour scale: gradient first / last"


@pytest.mark.parametrize("metric", ["test/accuracy", "ratio"])
def test_numbers_can_be_read_on_every_colour(opened: Open, metric: str) -> None:
    """The contrast of WCAG 2 is at least 4.5."""
    report = opened({"activation": [*GRID["activation"], "gelu"], "seed": [*"0123456789"]})
    report.choose("matrix", "Colour", metric)
    read = "cell => [getComputedStyle(cell).color, getComputedStyle(cell).backgroundColor]"
    for cell in report.locator("#matrix td").all():
        ink, ground = (luminance([int(part) for part in re.findall(r"\d+", text)]) for text in cell.evaluate(read))
        assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) > 4.5


def luminance(rgb: list[int]) -> float:
    linear = [part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in rgb]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_a_cell_tells_its_deviation_its_count_and_who_is_missing(opened: Open) -> None:
    report = opened(WIDE, with_ends)
    report.choose("matrix", "Rows", "activation")
    report.choose("matrix", "Columns", "optimizer.lr")
    assert "▲ 3 diverged" in report.cell("relu", "3").inner_text()
    assert "none" in report.cell("relu", "3").get_attribute("class")
    assert "✕ 1 failed" in report.cell("sigmoid", "0.3").inner_text()
    assert "… 1 not ended" in report.cell("sigmoid", "0.01").inner_text()
    report.cell("sigmoid", "0.3").hover()
    tip = report.text("#tip")
    assert tip.startswith("activation sigmoid, optimizer.lr 0.3 test/accuracy: mean 0.")
    assert ", sd 0." in tip
    assert tip.endswith("1 failed")
    assert ", n 2 " in tip
    report.mouse.move(2, 2)
    assert report.locator("#tip").is_hidden()


def test_a_filter_applies_to_all_that_stands_below(opened: Open, tmp_path: Path) -> None:
    report = opened(WIDE, with_ends)
    report.choose("matrix", "Rows", "activation")
    report.choose("matrix", "Columns", "optimizer.lr")
    assert report.text(".count output") == "27 of 27 runs"
    report.leave_out("seed", "1")
    report.leave_out("activation", "tanh")
    assert report.text(".count output") == "12 of 27 runs"
    left_out = {"seed": "1", "activation": "tanh"}
    assert check_matrix(report, tmp_path / "sweep", "test/accuracy", "activation", "optimizer.lr", left_out) == 6
    assert report.locator("#runs tbody tr").count() == 12
    assert report.locator("#failures li").count() == 2
    assert report.locator("#scatter circle[data-job]").count() == 12 - 2 - 1
    assert report.locator("#parallel path[data-job]").count() == 12 - 1
    assert report.locator("#curves path.measured").count() == report.locator("#profiles path.measured").count() == 2
    report.get_by_role("button", name="Show all").click()
    assert report.text(".count output") == "27 of 27 runs"
    assert check_matrix(report, tmp_path / "sweep", "test/accuracy", "activation", "optimizer.lr", {}) == 9
    for value in ("0", "1", "2"):
        report.leave_out("seed", value)
    assert report.locator("#matrix td").count() == 0
    assert "No run is shown" in report.text("#matrix")


def test_groups_keep_their_colours(opened: Open) -> None:
    report = opened(WIDE)
    report.choose("filters", "Group and colour by", "activation")
    line = report.locator('#curves path.measured[data-group="relu"]')
    colour = line.get_attribute("stroke")
    report.leave_out("activation", "sigmoid")
    assert line.get_attribute("stroke") == colour
    assert report.texts(".all-groups .legend span") == ["tanh", "relu"]


def test_a_cell_opens_its_runs_by_mouse(opened: Open) -> None:
    report = opened(WIDE, with_ends)
    report.choose("matrix", "Rows", "activation")
    report.choose("matrix", "Columns", "optimizer.lr")
    report.cell("sigmoid", "0.3").click()
    assert report.text("#drawer h2") == "activation sigmoid, optimizer.lr 0.3: 3 runs"
    assert report.texts("#drawer summary b") == ["000-job", "001-job", "002-job"]
    opened_text = report.text("#drawer .runs")
    for part in (
        "✓ ok",
        "test/accuracy 0.",
        "start vanishing first / last",
        "the gradient shrinks 4.2x per layer",
        "MemoryError: no room",
    ):
        assert part in opened_text
    assert report.texts("#drawer .remedy code")[1] == "python train.py data=mnist activation=sigmoid optimizer.lr=0.3 seed=0"
    report.get_by_text("Traceback", exact=True).click()
    assert report.text("#drawer pre") == "Traceback ... MemoryError"
    report.get_by_role("button", name="Close").click()
    assert report.locator("#drawer").is_hidden()


def test_the_keyboard_alone_is_enough(opened: Open) -> None:
    report = opened()
    for _ in range(60):
        report.keyboard.press("Tab")
        if report.has_focus("#matrix td"):
            break
    assert report.has_focus('td[data-row="xavier_normal"][data-column="sigmoid"]')
    report.keyboard.press("ArrowRight")
    report.keyboard.press("ArrowDown")
    report.keyboard.press("ArrowDown")
    assert report.has_focus('td[data-row="he_normal"][data-column="tanh"]')
    assert report.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)") >= 2
    assert report.text("#tip").startswith("init he_normal, activation tanh")
    assert (
        report.page.locator("td:focus")
        .get_attribute("aria-label")
        .startswith("init he_normal, activation tanh; test/accuracy: mean ")
    )
    report.keyboard.press("Enter")
    assert report.text("#drawer h2") == "init he_normal, activation tanh: 3 runs"
    assert report.has_focus("#drawer *")
    report.keyboard.press("Tab")
    report.keyboard.press("Tab")
    assert report.has_focus("#drawer summary")
    report.keyboard.press("Enter")
    assert report.locator("#drawer details.run[open]").count() == 2
    report.keyboard.press("Escape")
    assert report.locator("#drawer").is_hidden()
    assert report.has_focus('td[data-row="he_normal"][data-column="tanh"]')
    report.keyboard.press("Tab")
    assert not report.has_focus("#matrix td"), "the matrix is one stop of Tab"


@pytest.mark.parametrize("section", ["scatter", "parallel"])
def test_the_keyboard_walks_through_runs_and_opens_one(opened: Open, section: str) -> None:
    report = opened()
    report.locator(f"#{section} svg").focus()
    report.keyboard.press("ArrowRight")
    report.keyboard.press("ArrowRight")
    job = report.text("#tip b")
    report.keyboard.press("Enter")
    assert report.text("#drawer h2") == job
    report.keyboard.press("Escape")
    assert report.has_focus(f"#{section} svg")


def heights(path: str) -> list[float]:
    return [float(point.split()[1]) for point in path[1:].replace("M", "L").split("L")]


def test_profiles_are_geometric_means_beside_theory(opened: Open, tmp_path: Path) -> None:
    """Heights on a logarithmic axis are the logarithms of the ratios, up to a straight line."""
    report = opened()
    report.choose("filters", "Group and colour by", "activation")
    for part, when in (("profile", "profile"), ("profile_end", "profile_end")):
        report.choose("profiles", "When", when)
        drawn, real = [], []
        for activation in GRID["activation"]:
            deltas = np.array(
                [
                    [row["delta"] for row in result[part]]
                    for choices, result in results(tmp_path / "sweep")
                    if choices["activation"] == activation
                ]
            )
            real += np.mean(np.log10(deltas / deltas[:, -2:-1]), axis=0).tolist()
            drawn += heights(report.locator(f'#profiles path.measured[data-group="{activation}"]').get_attribute("d"))
        slope, offset = np.polyfit(real, drawn, 1)
        assert slope < 0
        np.testing.assert_allclose(drawn, slope * np.array(real) + offset, atol=0.15)
        assert report.locator("#profiles path.band").count() == 3
        assert report.locator("#profiles path.theory").count() == (3 if when == "profile" else 0)


def test_networks_of_other_depths_have_lines_of_their_own(opened: Open, tmp_path: Path) -> None:
    def shallow(number: int, choices: Mapping[str, str], result: dict[str, Any]) -> dict[str, Any]:
        if choices["seed"] == "2":
            for part in ("profile", "profile_end", "theory"):
                result[part] = result[part][-4:]
        return result

    report = opened({"activation": ["tanh"], "seed": ["0", "1", "2"]}, shallow)
    assert sorted(path.get_attribute("data-group") for path in report.locator("#profiles path.measured").all()) == [
        "all runs, 10 layers",
        "all runs, 4 layers",
    ]


def test_curves_are_means_with_a_band(opened: Open) -> None:
    report = opened({"activation": ["tanh", "relu"], "seed": ["0", "1", "2"]}, epochs=20)
    report.choose("curves", "Scale", "linear")
    report.locator("#curves svg").focus()
    for _ in range(4):
        report.keyboard.press("ArrowRight")
    first = [loss(number, 4) for number in range(3)]
    assert report.text("#tip b") == "epoch 4"
    assert f"tanh: {np.mean(first):.3g} ({min(first):.3g} to {max(first):.3g}, n 3)" in report.text("#tip")
    drawn = heights(report.locator('#curves path.measured[data-group="tanh"]').get_attribute("d"))
    real = [np.mean([loss(number, epoch) for number in range(3)]) for epoch in range(1, 21)]
    slope, offset = np.polyfit(real, drawn, 1)
    np.testing.assert_allclose(drawn, slope * np.array(real) + offset, atol=0.3)
    band = heights(report.locator("#curves path.band").first.get_attribute("d").rstrip("Z"))
    low, high = ([edge(loss(number, epoch) for number in range(3)) for epoch in range(1, 21)] for edge in (min, max))
    np.testing.assert_allclose(band, slope * np.array(low + high[::-1]) + offset, atol=0.3)
    report.choose("curves", "Loss", "train/loss_epoch")
    report.locator("#curves svg").focus()
    report.keyboard.press("ArrowRight")
    assert f"tanh: {np.mean([loss(number, 1) for number in range(3)]) - 0.05:.3g} " in report.text("#tip")


def test_any_two_numbers_and_any_axes(opened: Open) -> None:
    report = opened(WIDE)
    report.choose("scatter", "Across", "optimizer.lr")
    report.choose("scatter", "Up", "val/loss")
    places = {float(point.get_attribute("cx")) for point in report.locator("#scatter circle[data-job]").all()}
    assert len(places) == 3
    assert report.text("#scatter h2") == "One number against another val/loss"
    assert report.locator("#scatter svg").get_attribute("aria-label").startswith("val/loss against optimizer.lr")
    uprights = report.locator("#parallel .upright").count()
    for name in ("seconds", "test/loss"):
        report.locator(f'#parallel label:has(input[value="{name}"])').click()
    assert report.locator("#parallel .upright").count() == uprights
    titles = report.locator("#parallel svg text.title").all_text_contents()
    assert "seconds" in titles
    assert "test/loss" not in titles


def test_the_table_is_sorted_with_what_has_no_value_last(opened: Open) -> None:
    report = opened(WIDE, with_ends)
    button = report.locator("#runs").get_by_role("button", name="test/accuracy", exact=True)
    index = report.texts("#runs th button").index("test/accuracy")
    for order in (-1, 1):
        button.click()
        shown = report.texts(f"#runs tbody td:nth-child({index + 1})")
        numbers = [float(text) for text in shown if text]
        assert shown[len(numbers) :] == [""] * 5
        assert numbers == sorted(numbers)[::order]
    assert button.locator("..").get_attribute("aria-sort") == "ascending"
    report.locator("#runs").get_by_role("button", name="004-job").click()
    assert report.text("#drawer h2") == "004-job"


def test_failures_are_listed_with_their_reasons(opened: Open) -> None:
    report = opened(WIDE, with_ends)
    lines = report.texts("#failures li")
    assert lines[0] == "✕ failed 001-job MemoryError: no room"
    assert len(lines) == 4
    assert all("▲ diverged" in line and "NaN or Inf first at step 3 in hidden_02" in line for line in lines[1:])
    assert report.texts("#head .status") == ["✓ 22 ok", "▲ 3 diverged", "✕ 1 failed", "… 1 not ended"]


def test_what_makes_it_again_is_said(opened: Open) -> None:
    report = opened()
    assert report.text("h1") == "sweep"
    for fact in ("torch 2.14.1", "gradpath 0.1.0", "python 3.11.7", "1 thread per job", "git 0123456789, clean"):
        assert fact in report.texts(".facts li")
    assert report.texts("#head code") == [
        "git checkout 0123456789abcdef0123456789abcdef01234567",
        "python train.py -m activation=sigmoid,tanh,relu init=xavier_normal,he_normal seed=0,1,2 data=mnist",
    ]


def test_texts_that_mean_harm_are_texts(opened: Open) -> None:
    """They are in a value, a result, an error, a traceback, a verdict, a layer's name and a version."""

    def harm(number: int, choices: Mapping[str, str], result: dict[str, Any]) -> dict[str, Any]:
        if number == 1:
            return {"status": "failed", "error": HOSTILE, "traceback": HOSTILE, "choices": {}}
        finding = dict.fromkeys(("kind", "cause", "layer", "message", "remedy"), HOSTILE)
        result["verdict"] |= {"class": HOSTILE, "findings": [finding], "deviation": {"sentence": HOSTILE}}
        result["metrics"][HOSTILE] = 1.0
        result["environment"] = result["environment"] | {"torch": HOSTILE, "git_commit": HOSTILE}
        result["profile"][0]["layer"] = HOSTILE
        return result

    report = opened({"activation": ["tanh", HOSTILE], "seed": ["0", HOSTILE]}, harm)
    plain = " ".join(HOSTILE.split())
    whole = [head.get_attribute("aria-label") for head in report.locator("#matrix thead th").all()]
    assert HOSTILE in whole
    assert any(plain in line for line in report.texts("#failures li"))
    assert any(plain in fact for fact in report.texts(".facts li"))
    assert report.locator("#runs tbody tr:nth-child(3) td:nth-child(3) span").get_attribute("aria-label") == HOSTILE
    for job in ("001-job", "002-job"):
        report.locator("#runs").get_by_role("button", name=job).click()
        report.keyboard.press("Tab")
        assert plain in report.text("#drawer .runs")
        report.keyboard.press("Escape")
    report.locator("#matrix td").last.hover()
    assert plain in report.text("#tip")
    assert report.locator("img").count() == 0
    assert report.locator("script").count() == 0, "the page's own are gone when it is drawn"


def test_no_other_script_runs(opened: Open) -> None:
    report = opened({"seed": ["0"]})
    failures: list[str] = []
    report.page.on("requestfailed", lambda request: failures.append(request.failure))
    report.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.broken = 1";
            const image = document.createElement("img");
            image.setAttribute("onerror", "window.broken = 1");
            image.src = "http://127.0.0.1:9/x";
            document.body.append(script, image);
        }"""
    )
    report.wait_for_timeout(100)
    assert report.evaluate("window.broken") is None
    refused = [error for error in report.errors if "Content Security Policy" in error]
    assert len(refused) >= 2
    assert failures == ["csp"], "the request was not refused by the page itself"
    report.errors = [error for error in report.errors if error not in refused]
    report.asked = report.asked[:1]


def test_a_sweep_of_one_run(opened: Open) -> None:
    report = opened({"seed": ["7"]})
    assert report.locator("#matrix td").count() == 1
    report.locator("#matrix td").click()
    assert report.text("#drawer h2") == "all runs"
    report.keyboard.press("Escape")
    assert report.locator("#curves path.measured").count() == 1


def test_a_sweep_of_which_nothing_has_ended(opened: Open) -> None:
    report = opened(GRID, lambda number, choices, result: None)
    assert report.texts("#head .status") == ["… 18 not ended"]
    for section in ("matrix", "curves", "profiles", "scatter", "parallel", "failures"):
        assert report.text(f"#{section} .notice").startswith("No run"), section
    assert report.locator("#runs tbody tr").count() == 18


def test_the_page_of_one_run(browser: Any, tmp_path: Path) -> None:
    write_sweep(tmp_path, {"activation": ["sigmoid"], "seed": ["0"]})
    (tmp_path / "000-job/overrides.yaml").write_text("[activation=sigmoid, 'note=it''s']\n")
    write_run_report(tmp_path / "000-job")
    report = Report(browser, tmp_path / "000-job/report.html")
    assert report.text("h1") == "000-job"
    assert report.texts("main h2") == [
        "Verdict and findings",
        "Loss over epochs",
        "Gradient over depth |δ| relative to the last hidden layer",
    ]
    assert "start vanishing first / last" in report.text(".verdict")
    assert "the gradient shrinks 4.2x per layer" in report.text("#verdict")
    for selector in ("#curves path.measured", "#profiles path.measured", "#profiles path.theory"):
        assert report.locator(selector).count() == 1
    report.close()


def test_the_page_of_a_run_that_goes_on(browser: Any, tmp_path: Path) -> None:
    write_sweep(tmp_path, {"seed": ["0"]})
    (tmp_path / "000-job/result.json").unlink()
    write_run_report(tmp_path / "000-job")
    report = Report(browser, tmp_path / "000-job/report.html")
    assert report.texts("#head .status") == ["… not ended"]
    assert report.locator("#curves path.measured").count() == 1
    assert report.text("#profiles .notice") == "No run that is shown has a profile."
    report.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 1920])
def test_nothing_runs_over_the_edge(opened: Open, width: int, scheme: str) -> None:
    long = {"activation": ["sigmoid", "tanh", "x" * 200], "seed": [str(seed) for seed in range(30)]}
    report = opened(long, width=width, scheme=scheme)
    assert report.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert report.evaluate("document.documentElement.dataset.theme") == scheme
    over = """() => [...document.querySelectorAll("main section, main svg, #head *")]
        .filter(part => part.getBoundingClientRect().right > innerWidth).map(part => part.outerHTML.slice(0, 200))"""
    assert report.evaluate(over) == []


def test_a_search_shows_its_objective_over_the_trials(opened: Open, tmp_path: Path) -> None:
    """And against each key: values of four digits, a logarithmic axis where it drew from one, no matrix of trials."""
    random = np.random.default_rng(3)
    rates = [repr(float(10 ** random.uniform(-4, -1))) for _ in range(20)]
    drawn = {rate: float(loss) for rate, loss in zip(rates, random.permutation(20) / 20 + 0.05, strict=True)}

    def change(number: int, choices: Mapping[str, str], result: dict[str, Any]) -> dict[str, Any]:
        if number == 5:
            return result | {"status": "pruned", "error": "stopped after epoch 1", "metrics": {}}
        return result | {"metrics": result["metrics"] | {"val/loss": drawn[choices["optimizer.lr"]]}}

    plan = write_sweep(tmp_path / "search", {"optimizer.lr": rates}, change)
    typed = (
        "optimizer.lr=tag(log,interval(1e-4,0.1))",
        "sweep.objective=metrics.val/loss",
        "hydra.sweeper.direction=minimize",
    )
    plan = replace(plan, search=typed)
    write_plan(tmp_path / "search", plan)
    write_summary(tmp_path / "search", plan)
    report = opened(at=tmp_path / "search/report.html")
    assert report.text("h1 + .soft") == "search of 20 runs"
    assert "✂ 1 pruned" in report.texts("#head .status")
    kept = [rate for rate in rates if rate != rates[5]]
    best = min(kept, key=drawn.__getitem__)
    assert f"best {drawn[best]:g} of 19 trials; 1 without it" in report.text("#search h2")
    assert report.locator("#search .trials .dot").count() == 19
    # The line goes down to the best and never up: a step for each trial.
    heights = [float(y) for y in re.findall(r"V([\d.]+)", str(report.locator("#search .best").get_attribute("d")))]
    assert heights == sorted(heights)
    assert len(heights) == 18
    # Places on a logarithmic axis are as far apart as the logarithms.
    dots = report.locator('#search [data-key="optimizer.lr"] .dot')
    places = sorted(float(dot.get_attribute("cx")) for dot in dots.all())
    assert np.corrcoef(places, sorted(math.log10(float(rate)) for rate in kept))[0, 1] > 0.99999
    assert report.locator("#matrix").count() == 0
    # The best trial comes first, and its command has all digits.
    shown = report.texts("#runs tbody td:nth-child(3)")
    assert shown[0] == f"{float(best):.4g}"
    assert {*shown} == {f"{float(rate):.4g}" for rate in rates}
    report.locator("#runs tbody button.link").first.click()
    assert f"optimizer.lr={best}" in report.text("#drawer")


def test_axes_show_no_impossible_values(opened: Open, tmp_path: Path) -> None:
    """Trials have whole numbers, and no accuracy is above 1, nor a loss below 0 where none is."""

    def change(number: int, choices: Mapping[str, str], result: dict[str, Any]) -> dict[str, Any]:
        metrics = {"test/accuracy": 1.0, "val/loss": 0.0}
        return result | {
            "metrics": metrics,
            "verdict": result["verdict"] | {"ratio": None, "rate_per_layer": None, "end": None},
        }

    plan = write_sweep(tmp_path / "search", {"optimizer.lr": ["0.1", "0.2", "0.3"]}, change)
    plan = replace(plan, search=("sweep.objective=metrics.test/accuracy", "hydra.sweeper.direction=maximize"))
    write_plan(tmp_path / "search", plan)
    write_summary(tmp_path / "search", plan)
    report = opened(at=tmp_path / "search/report.html")
    across = report.locator('#search .trials text[text-anchor="middle"]:not(.title)').all_text_contents()
    assert across == ["0", "1", "2"]
    heights = [float(text) for text in report.locator('#search .trials text[text-anchor="end"]').all_text_contents()]
    assert len(heights) > 1
    assert max(heights) == 1
    # Two different numbers, though there is no ratio.
    title = report.locator("#scatter svg").get_attribute("aria-label")
    assert title.startswith("test/accuracy against ")
    assert not title.startswith("test/accuracy against test/accuracy")
    report.choose("scatter", "Up", "val/loss")
    heights = [float(text) for text in report.locator('#scatter text[text-anchor="end"]').all_text_contents()]
    assert min(heights) == 0


def test_lines_over_depth_are_named_and_counted(opened: Open) -> None:
    """Of lines that lie over each other only one colour shows."""

    def change(number: int, choices: Mapping[str, str], result: dict[str, Any]) -> dict[str, Any]:
        for row in result["profile"]:
            row["delta"] = 1.0
        return result

    report = opened({"optimizer.lr": ["0.1", "0.2", "0.3"]}, change)
    assert report.texts("#profiles .legend span") == ["0.1", "0.2", "0.3", "theory at step 0"]
    assert report.text("#profiles h2").endswith("2 of 3 lines lie under others of the same values")
