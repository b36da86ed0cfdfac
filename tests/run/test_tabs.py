"""What a user reads in the tabs of `make dashboard`: the numbers in a browser are those of the runs' own files.

It serves the README's default run and its sweep of four, on less data.
"""

import re
from collections.abc import Iterator

import matplotlib
import numpy as np
import pytest

from board import chromium, get, make_dashboard, wait_until
from gradpath.run.tensorboard import LAYOUT, RATIO
from tabs import DIGITS, Board, Trained, coloured, number

SHORT = ("data.limit=640", "trainer.max_epochs=2", "trainer.log_every_n_steps=2", "trainer.accelerator=cpu")
STEPS_PER_EPOCH, EPOCHS = 5, 2
LAYERS = ["hidden_01", "hidden_02", "output"]
METRICS = ("val/loss", "val/accuracy", "test/loss", "test/accuracy")


def differing(url: str) -> set[str]:
    """The keys that differ. HParams shows these, and more if it is opened before TensorBoard has read all runs."""
    experiment = get(f"{url}/data/plugin/hparams/experiment", {"experimentName": ""})
    return {info["name"] for info in experiment.get("hparamInfos", []) if info.get("differs")}


@pytest.fixture(scope="module")
def board(command, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    folder = tmp_path_factory.mktemp("tabs")
    logs = folder / "logs"
    for typed in (
        f"{' '.join(SHORT)} hydra.run.dir={logs}/runs/default",
        f"-m activation=sigmoid,relu init=xavier_normal,he_normal {' '.join(SHORT)} hydra.sweep.dir={logs}/sweeps/four",
    ):
        done = command("train.py", *typed.split())
        assert done.returncode == 0, done.stderr
    runs = {str(path.parent.relative_to(logs)): Trained(path.parent) for path in logs.rglob("result.json")}
    assert len(runs) == 5
    with make_dashboard(folder) as url, chromium() as browser:
        wait_until(
            lambda: set(get(f"{url}/data/runs")) == set(runs) and differing(url) >= {"activation", "init", "gradient"}
        )
        page = browser.new_page(viewport={"width": 1920, "height": 1080})
        page.set_default_timeout(90_000)
        page.goto(url)
        yield Board(page, runs)


@pytest.mark.parametrize("tag", ["train/loss", "val/accuracy", "test/accuracy", "delta_log10/hidden_01"])
def test_time_series(board: Board, tag: str) -> None:
    """The table below a chart has the last value of each run, and the curves are drawn above it."""
    board.open("Time Series")
    board.page.get_by_role("combobox", name="Filter tags (regex)").fill(f"^{tag}$")
    card = board.page.locator("scalar-card:visible").filter(has_text=re.compile(tag.replace("/", r"\s*/\s*")))
    rows = card.locator("tb-data-table-content-row")
    wait_until(lambda: rows.count() == len(board.runs), 60)
    for row in rows.all():
        run, _, value, step, *_ = row.inner_text().split()
        points = board.runs[run].points(tag)
        assert number(value) == pytest.approx(points[int(step)], **DIGITS), run
        # Curves of the layers have a point at every second step, as SHORT says; the record has every step.
        assert int(step) == (max(points) - max(points) % 2 if "hidden" in tag else max(points))
    wait_until(lambda: coloured(board.picture(card.locator("line-chart"))) > 20, 30)


@pytest.mark.parametrize("tag", ["train/loss", "val/accuracy", "delta_log10/hidden_01"])
def test_scalars(board: Board, tag: str) -> None:
    board.open("Scalars")
    outliers = board.page.get_by_role("checkbox", name="Ignore outliers")
    if outliers.first.get_attribute("aria-checked") == "true":
        outliers.first.click()
    board.page.locator("tf-scalar-dashboard").get_by_label("Filter tags").fill(f"^{tag}$")
    card = board.page.locator("tf-scalar-card").filter(has=board.page.get_by_text(f"tag: {tag}", exact=True)).first
    card.get_by_text(tag).first.wait_for()
    seen = board.check(card.locator("vz-line-chart2"), "vz-line-chart-tooltip table", lambda name: (name, tag))
    assert set(seen) == {(run, tag) for run in board.runs}
    assert all(len(steps) > 1 for steps in seen.values())
    assert coloured(board.picture(card.locator("vz-line-chart2"))) > 100


def test_custom_scalars(board: Board) -> None:
    """Every chart of the layout, every layer, every run."""
    board.open("Custom Scalars")
    cards = board.page.locator("tf-custom-scalar-multi-line-chart-card")
    titles = {title: tags for category in LAYOUT.values() for title, (_, tags) in category.items()}
    wait_until(lambda: cards.count() == len(titles), 60)
    outliers = board.page.locator("tf-custom-scalar-dashboard").get_by_role("checkbox", name="Ignore outliers")
    if outliers.get_attribute("aria-checked") == "true":
        outliers.click()
    for (title, tags), card in zip(titles.items(), cards.all(), strict=True):
        card.get_by_text(title, exact=True).wait_for()
        seen = board.check(card.locator("vz-line-chart2"), "vz-line-chart-tooltip table", tag_and_run)
        families = [tag.removesuffix("/.*") for tag in tags if tag.endswith("/.*")]
        drawn = [f"{family}/{layer}" for family in families for layer in LAYERS] or tags
        assert set(seen) == {(run, tag) for run in board.runs for tag in drawn}, title
        assert coloured(board.picture(card.locator("vz-line-chart2"))) > 100, title


def tag_and_run(name: str) -> tuple[str, str]:
    found = re.fullmatch(r"(\S+) \((\S+)\)", name)
    assert found, name
    return found[2], found[1]


def test_images(board: Board) -> None:
    """The first and the last picture of each run: their steps, and the ratio that the colour of a layer stands for."""
    board.open("Images")
    cards = board.page.locator("tf-image-loader:visible")
    wait_until(lambda: cards.count() == len(board.runs), 60)
    runs = {}
    for card in cards.all():
        run = runs.setdefault(
            card.locator("#heading-run").inner_text(), board.runs[card.locator("#heading-run").inner_text()]
        )
        card.locator("#steps").press("Home")
        for epoch in range(1, EPOCHS + 1):
            step = card.locator(".heading-label").filter(has_text=re.compile(r"step\s*\d"))
            wait_until(
                lambda step=step, wanted=epoch: step.inner_text().split() == ["step", str(wanted * STEPS_PER_EPOCH)], 30
            )
            wait_until(lambda card=card: card.locator("img").evaluate("img => img.complete && img.naturalWidth > 500"), 30)
            pixels = card.locator("img").evaluate(PIXELS)
            assert pixels["colours"] > 50
            first, second = run.flow["delta"][epoch * STEPS_PER_EPOCH - 1, :2]
            assert ratio_of(pixels["first"]) == pytest.approx(first / second, rel=0.1)
            assert ratio_of(pixels["second"]) == pytest.approx(1, rel=0.1)
            card.locator("#steps").press("ArrowRight")
    assert runs == board.runs


# The map fills the picture's left half. Its last step lies at its right edge, the first layer below the second.
PIXELS = """img => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [img.naturalWidth, img.naturalHeight];
    const context = canvas.getContext("2d");
    context.drawImage(img, 0, 0);
    const at = (x, y) => [...context.getImageData(x * canvas.width, y * canvas.height, 1, 1).data].slice(0, 3);
    const all = new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    return {colours: new Set(all).size, first: at(0.57, 0.7), second: at(0.57, 0.3)};
}"""


def ratio_of(colour: list[int]) -> float:
    """What a colour means on the scale from 0.01 to 100."""
    scale = matplotlib.colormaps["RdBu_r"](np.linspace(0, 1, 401))[:, :3]
    nearest = np.abs(scale - np.array(colour) / 255).sum(axis=1)
    assert nearest.min() < 0.02, colour
    return float(100 ** (nearest.argmin() / 200 - 1))


def open_hparams(board: Board) -> list[list[str]]:
    """The rows of the table, its heading first, once all runs are in it."""
    board.open("HParams")
    cells = board.page.locator("tf-hparams-table-view").locator("vaadin-grid-cell-content:visible")

    def table() -> list[list[str]]:
        texts = [text.strip() for text in cells.all_inner_texts()]
        width = next((k for k, text in enumerate(texts) if text in board.runs), 1)
        return [texts[start : start + width] for start in range(0, len(texts), width)]

    wait_until(lambda: sum(row[0] in board.runs for row in table()) == len(board.runs), 60)
    return table()


def test_hparams(board: Board) -> None:
    """One row for each run: what was chosen differently, and what came of it."""
    heading, *rows = open_hparams(board)
    found = {row[0]: dict(zip(heading, row, strict=True)) for row in rows if row[0] in board.runs}
    assert set(found) == set(board.runs)
    for name, run in board.runs.items():
        for group in ("activation", "init"):
            assert found[name][group] == run.result["choices"][group]
        judged, ratio = found[name]["gradient"].split()
        assert judged == run.result["verdict"]["class"]
        assert number(ratio) == pytest.approx(run.result["verdict"]["ratio"], rel=0.05)
        assert number(found[name][RATIO]) == pytest.approx(run.result["verdict"]["ratio"], rel=1e-3)
        for metric in METRICS:
            assert number(found[name][metric]) == pytest.approx(run.result["metrics"][metric], rel=1e-4), (name, metric)
    sweep = [found[name]["test/accuracy"] for name in board.runs if name != board.default]
    assert len(set(sweep)) > 1


def test_hparams_in_a_small_window(board: Board) -> None:
    """What was chosen, what the gradient did and a metric are seen without scrolling; a third key would have room."""
    board.page.set_viewport_size({"width": 1280, "height": 800})
    try:
        open_hparams(board)
        cells = board.page.locator("tf-hparams-table-view").locator("vaadin-grid-cell-content:visible")
        wanted = ("activation", "init", "gradient", "test/accuracy")

        def seen() -> list[str]:
            """The wanted headings in view. The table is laid out again after the window, and cells change their places."""
            places = cells.evaluate_all(
                "cells => cells.map(cell => [cell.innerText.trim(), cell.getBoundingClientRect().x])"
            )
            # A column takes 160 pixels, its text 100.
            return [name for name in wanted if any(text == name and 0 < x <= 1280 - 160 - 100 for text, x in places)]

        wait_until(lambda: seen() == [*wanted], 30)
    finally:
        board.page.set_viewport_size({"width": 1920, "height": 1080})


def test_gradient_flow(board: Board) -> None:
    """In TensorBoard's own frame: the verdict of each run, and the ratio in each cell of its map."""
    board.open("Gradient Flow")
    frame = board.page.frame_locator("iframe")
    frame.locator(".plot canvas").first.wait_for()
    for name, run in board.runs.items():
        for box in frame.locator("#runs input").all():
            box.set_checked(box.get_attribute("data-run") == name)
        panel = frame.locator(f'.panel[data-run="{name}"]')
        panel.locator(".plot canvas").wait_for()
        said = " ".join(panel.inner_text().split())
        start, end = run.result["verdict"]["class"], run.result["verdict"]["end"]["class"]
        assert re.search(rf"start {start} first / last .* end {end} first / last", said), said
        box = panel.locator("canvas").bounding_box()
        for row, layer in enumerate(LAYERS):
            for across, step in ((1, 0), (box["width"] - 2, STEPS_PER_EPOCH * EPOCHS - 1)):
                board.page.mouse.move(box["x"] + across, box["y"] + (len(LAYERS) - row - 0.5) / len(LAYERS) * box["height"])
                told = " ".join(frame.locator("#tip").inner_text().split())
                read = re.fullmatch(rf"{layer} step {step} (.*) × last hidden layer \((.*)\)", told)
                assert read, told
                delta = run.flow["delta"][step]
                assert number(read[1]) == pytest.approx(delta[row] / delta[-2], rel=0.01), told
                assert number(read[2]) == pytest.approx(delta[row], rel=0.01), told
