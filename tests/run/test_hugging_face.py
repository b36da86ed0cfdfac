"""The recipes for Hugging Face's Trainer and for accelerate, as docs/api.md has them.

The packages are not among those of the project: torchmetrics imports transformers where it is installed, and every start of
a training would take longer. To run these: `pip install transformers accelerate`.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from gradpath.config.checks import PROJECT


def recipe(number: int) -> str:
    text = (PROJECT / "docs/api.md").read_text()
    found = re.findall(r"<!-- tests/run/test_hugging_face.py -->\n```python\n(.*?)```", text, re.DOTALL)
    assert len(found) == 2
    return str(found[number])


@pytest.mark.parametrize(("number", "package"), [(0, "transformers"), (1, "accelerate")])
def test_a_recipe(number: int, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(recipe(number), names)
    p, printed = names["p"], capsys.readouterr().out.splitlines()
    assert "healthy" in printed
    found = p.verdict()
    assert (found["coverage"]["share"], found["findings"], found["diverged"]) == (1.0, [], None)
    if number == 0:
        assert len(p.record.steps) == 12
        assert sum(name.endswith("output.dense +") for name in found["way"]) == 8
    else:
        assert (printed[-1], len(p.record.steps)) == ("4", 4)
