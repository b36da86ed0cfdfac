"""The tab's HTTP routes: the page, the list of runs, one quantity of one run, and the jobs of a sweep."""

import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

from gradpath.dashboard.answers import Answers, BusyError
from gradpath.dashboard.archive import RecordError, shortened
from gradpath.dashboard.hparams import join_experiments
from gradpath.dashboard.records import NAME, STEPS
from gradpath.dashboard.runs import Runs, roots
from gradpath.dashboard.sweeps import Sweeps

STATIC = Path(__file__).with_name("static")
TYPES = {".js": "text/javascript", ".css": "text/css"}
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

logger = logging.getLogger(__name__)


class NoRunError(Exception):
    """The request names no run or sweep that is listed."""


class GradientFlowPlugin(base_plugin.TBPlugin):  # type: ignore[misc]
    """Serves the tab below `/data/plugin/gradient_flow`. Every error is answered as JSON, `{"error": a sentence}`.

    `/runs`                       200: JSON of `runs` and `sweeps`, the newest first, and the `folders` that are searched
    `/record?run=..&quantity=..`  200: JSON, see `records.read`; 404: no such run; 422: the file cannot be shown;
                                  503: others are being read, ask again. `&steps=2`: the first and the last step only
    `/sweep?name=..`              200: JSON, see `Sweeps.get`; 404, 422 and 503 as above
    `/index.js`, `/style.css`, .. 200: the page, one route for each file of `static`
    """

    plugin_name = "gradient_flow"

    def __init__(self, context: base_plugin.TBContext) -> None:
        self.runs = Runs(roots(context.logdir, getattr(context.flags, "logdir_spec", None)))
        self.answers = Answers()
        if context.data_provider is not None:
            join_experiments(context.data_provider)
        self.sweeps = Sweeps()

    def get_plugin_apps(self) -> dict[str, Application]:
        return {
            **_pages(),
            "/runs": _answering(self._runs, "application/json"),
            "/record": _answering(self._record, "application/json"),
            "/sweep": _answering(self._sweep, "application/json"),
        }

    def is_active(self) -> bool:
        """Always true: if nothing is recorded, the page says how to record."""
        return True

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        # The page looks for new data by itself, because TensorBoard's reload button does not reach into a plugin's frame.
        return base_plugin.FrontendMetadata(es_module_path="/index.js", tab_name="Gradient Flow", disable_reload=True)

    def _runs(self, request: wrappers.Request) -> str:
        return json.dumps({**self.runs.listing(), "folders": [str(root) for _, root in self.runs.roots]})

    def _record(self, request: wrappers.Request) -> bytes:
        name = request.args.get("run", "")
        path = self.runs.path(name)
        if path is None:
            raise NoRunError(f"There is no run {shortened(name, NAME)!r} with a record.")
        most = request.args.get("steps", STEPS, type=int)
        return self.answers.get(path, request.args.get("quantity", "delta"), min(STEPS, max(2, most)))

    def _sweep(self, request: wrappers.Request) -> bytes:
        name = request.args.get("name", "")
        path = self.runs.sweep(name)
        if path is None:
            raise NoRunError(f"There is no sweep {shortened(name, NAME)!r} with a record.")
        return self.sweeps.get(path, self.runs.names())


def _pages() -> dict[str, Application]:
    """A route for each file of `static`. The folder is listed only once, so no path from a request reaches the disk."""
    return {f"/{path.name}": _page(path) for path in STATIC.iterdir() if path.suffix in TYPES}


def _page(path: Path) -> Application:
    return _answering(lambda request: path.read_text(encoding="utf-8"), TYPES[path.suffix])


def _answering(answer: Callable[[wrappers.Request], str | bytes], content_type: str) -> Application:
    """A WSGI application that sends what `answer` returns, or its error as JSON."""

    @wrappers.Request.application
    def application(request: wrappers.Request) -> wrappers.Response:
        try:
            return _response(request, answer(request), content_type, 200)
        except NoRunError as error:
            return _error(request, str(error), 404)
        except RecordError as error:
            return _error(request, str(error), 422)
        except BusyError as error:
            return _error(request, str(error), 503)
        except Exception:
            logger.exception("gradient_flow: %s", request.path)
            return _error(request, "The Gradient Flow tab failed; TensorBoard's terminal says why.", 500)

    return application


def _error(request: wrappers.Request, sentence: str, code: int) -> wrappers.Response:
    return _response(request, json.dumps({"error": sentence}), "application/json", code)


def _response(request: wrappers.Request, content: str | bytes, content_type: str, code: int) -> wrappers.Response:
    response: wrappers.Response = http_util.Respond(request, content, content_type, code=code)
    return response
