"""`report.html` in a real browser, opened from disk. `opening` writes the report of a sweep and opens it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gradpath.sweep.summary import write_summary
from synthetic_sweep import GRID, Change, as_it_is, write_sweep


class Report:
    """A page opened from disk, and all that it asked for or complained of."""

    def __init__(self, browser: Any, path: Path, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        self.page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        self.asked: list[str] = []
        self.errors: list[str] = []
        # Nothing is waited for: what is not there at once is missing.
        self.page.set_default_timeout(5_000)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.errors.append("a dialog"), dialog.dismiss()))
        self.uri = path.as_uri()
        self.page.goto(self.uri)
        self.page.locator("main section").first.wait_for()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.page, name)

    def text(self, selector: str) -> str:
        return " ".join(self.page.locator(selector).first.inner_text().split())

    def texts(self, selector: str) -> list[str]:
        return [" ".join(text.split()) for text in self.page.locator(selector).all_inner_texts()]

    def choose(self, section: str, label: str, value: str) -> None:
        self.page.locator(f'#{section} label.field:has(> span:text-is("{label}")) select').select_option(value)

    def leave_out(self, criterion: str, value: str) -> None:
        self.page.locator(f'#filters fieldset[data-criterion="{criterion}"] label:has(input[value="{value}"])').click()

    def cell(self, row: str, column: str) -> Any:
        return self.page.locator(f'#matrix td[data-row="{row}"][data-column="{column}"]')

    def has_focus(self, selector: str) -> bool:
        return bool(self.page.evaluate("selector => document.activeElement.matches(selector)", selector))

    def close(self) -> None:
        self.page.wait_for_timeout(50)
        assert self.errors == []
        assert self.asked == [self.uri], "the page asked for something"
        self.page.close()


Open = Callable[..., Report]


@contextmanager
def opening(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Writes a sweep and opens its report. In the end nothing may have been asked for, nor complained of."""
    reports: list[Report] = []

    def call(
        grid: Mapping[str, Any] = GRID,
        change: Change = as_it_is,
        width: int = 1280,
        scheme: str = "light",
        at: Path | None = None,
        **of: int,
    ) -> Report:
        if at is None:
            write_summary(tmp_path / "sweep", write_sweep(tmp_path / "sweep", grid, change, **of))
        reports.append(Report(browser, at or tmp_path / "sweep/report.html", width, scheme=scheme))
        return reports[-1]

    yield call
    for report in reports:
        report.close()
