"""The Gradient Flow tab on a page of a real browser: what is chosen, what is drawn, what is read."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gradpath.sweep.plan import Plan, Planned, write_plan

INJECTION = '<img src=x onerror="window.broken = 1">'
FITS = "[...document.querySelectorAll('html, aside, #multiples')].every(part => part.scrollWidth <= part.clientWidth)"
STILL = """count => {
    const drawn = [...document.querySelectorAll('#grid path.measured')].map(path => path.getAttribute('d'));
    if (window.drawnLast !== String(drawn)) [window.drawnLast, window.drawnAt] = [String(drawn), performance.now()];
    return drawn.length === count && performance.now() - window.drawnAt > 200;
}"""


class Tab:
    """The tab in TensorBoard, or, which loads faster, the document of its frame alone; and what went wrong in it.

    clock: the page's time goes on as ever, and can be put forward.
    """

    def __init__(
        self, browser: Any, url: str, width: int = 1280, height: int = 800, alone: bool = False, clock: bool = False
    ) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": height})
        self.page.add_init_script(
            "addEventListener('securitypolicyviolation', event => console.error('CSP', event.blockedURI))"
        )
        self.errors: list[str] = []
        if clock:
            self.page.clock.install()
        self.page.on("console", self.listen)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(f"{url}/data/plugin_entry.html?name=gradient_flow" if alone else f"{url}/#gradient_flow")
        self.frame = self.page if alone else self.page.frame_locator("iframe")
        self.frame.locator(".plot canvas, .empty, .notice").first.wait_for()

    def looks_for_news(self) -> None:
        """Puts the page's clock forward, past the next time that it asks the server."""
        self.page.clock.fast_forward(6_000)

    def listen(self, message: Any) -> None:
        # Outside of TensorBoard the page has no icon.
        if message.type == "error" and not message.location["url"].endswith("/favicon.ico"):
            self.errors.append(message.text)

    def text(self, selector: str) -> str:
        return " ".join(self.frame.locator(selector).first.inner_text().split())

    def choose(self, *names: str) -> None:
        """Selects exactly these runs."""
        boxes = self.frame.locator("#runs input")
        for box in boxes.all():
            box.set_checked(box.get_attribute("data-run") in names)
        for name in names:
            self.panel(name).locator(".plot canvas, .notice").first.wait_for()

    def panel(self, name: str) -> Any:
        return self.frame.locator(f'.panel[data-run="{name}"]')

    def pixel(self, name: str, across: float, down: float) -> tuple[int, ...]:
        """The colour at a place of a run's heat map, in fractions of its width and height."""
        read = """(canvas, [x, y]) => [...canvas.getContext("2d").getImageData(
            Math.floor(x * (canvas.width - 1)), Math.floor(y * (canvas.height - 1)), 1, 1).data].slice(0, 3)"""
        return tuple(self.panel(name).locator("canvas").evaluate(read, [across, down]))

    def colours(self, name: str) -> int:
        """How many colours a run's heat map has."""
        count = """canvas => new Set(new Uint32Array(
            canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"""
        return int(self.panel(name).locator("canvas").evaluate(count))

    def curve(self, name: str) -> str:
        return str(self.frame.locator(f'path.measured[data-run="{name}"]').get_attribute("d"))


class SweepTab(Tab):
    """The tab with a sweep chosen."""

    def show(self, sweep: str) -> None:
        self.frame.locator("#shown").get_by_text("Sweep").click()
        self.frame.get_by_label("Sweep", exact=True).last.select_option(sweep)

    def cell(self, **values: str) -> Any:
        named = [f"{key}={value}" for key, value in values.items()]
        found = self.frame.locator("button.cell")
        for text in named:
            found = found.and_(self.frame.locator(f'[aria-label*="{text}"]'))
        return found

    def runs(self, cell: Any) -> set[str]:
        return {path.get_attribute("data-run").rpartition("/")[2] for path in cell.locator("path.measured").all()}

    def says(self, cell: Any) -> str:
        return " ".join(cell.locator(".says").inner_text().split())

    def all_drawn(self, count: int) -> None:
        """Waits until `count` profiles are drawn, and no longer move: each record that comes in may change their scale."""
        self.page.wait_for_function(STILL, arg=count)


def plan(folder: Path, grid: Mapping[str, Sequence[str]]) -> list[Planned]:
    """Writes the plan of all combinations."""
    folder.mkdir(parents=True)
    values = [dict(zip(grid, chosen, strict=True)) for chosen in itertools.product(*grid.values())]
    jobs = [Planned(n, f"{n:03d}-job", [f"{k}={v}" for k, v in c.items()], c, str(n), "code") for n, c in enumerate(values)]
    write_plan(folder, Plan(("python train.py -m",), 1, tuple(jobs)))
    return jobs
