"""`report.html`: a sweep, or one run, as one page. It needs no network and nothing beside it."""

import base64
import hashlib
import html
import json
from functools import cache
from pathlib import Path
from typing import Any

from gradpath.files import REPORT, write_text
from gradpath.sweep.bundle import bundle
from gradpath.sweep.reading import Reading
from gradpath.sweep.report_data import run_content

STATIC = Path(__file__).with_name("static")
# The tab's scales, colours and keys are the report's, too.
SHARED = Path(__file__).parents[1] / "dashboard/static"
# The only script is our own, known by its hash. Nothing is loaded, and nothing is sent.
POLICY = "default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
# No browser reads a tag in these, and JSON reads them as what they were.
ESCAPES = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<noscript>This report is drawn by a script that is part of this file. The script is turned off.</noscript>
<script type="application/json" id="content">{content}</script>
<script>{script}</script>
</body>
</html>
"""


def write_report(found: Reading) -> None:
    """Writes the report of a sweep, whether its jobs have ended or not.

    Raises:
        OSError: the folder is read-only or full.
    """
    write_text(found.folder / REPORT, page(found.content))


def write_run_report(folder: Path) -> None:
    """Writes the report of one run into its folder. Raises OSError as `write_report`."""
    write_text(folder / REPORT, page(run_content(folder)))


def page(content: dict[str, Any]) -> str:
    """The page that shows a content."""
    style, script = _sources()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Whatever a name holds becomes ASCII in JSON, a lone surrogate, too; the title is text beside it.
    data = json.dumps(content, separators=(",", ":"), allow_nan=False).translate(ESCAPES)
    title = html.escape(f"{content['name']} · gradpath").encode(errors="replace").decode()
    return PAGE.format(policy=POLICY.format(digest=digest), title=title, style=style, script=script, content=data)


@cache
def _sources() -> tuple[str, str]:
    """The style and the script."""
    style = "".join(path.read_text(encoding="utf-8") for path in (SHARED / "base.css", STATIC / "report.css"))
    return style, f"\n{bundle(STATIC / 'report.js')}"
