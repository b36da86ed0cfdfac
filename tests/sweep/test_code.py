"""The digest of the code that trains: what changes it, and what does not."""

from pathlib import Path

import pytest

from gradpath.sweep.code import made_by, made_by_with, named_packages, version


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a user's own: mylab imports helpers, which lies beside it and imports mylab again, and torch."""
    (tmp_path / "mylab/parts").mkdir(parents=True)
    (tmp_path / "mylab/__init__.py").write_text("")
    (tmp_path / "mylab/parts/act.py").write_text("from helpers import slope\nimport torch\n")
    (tmp_path / "helpers.py").write_text("import mylab\n\n\ndef slope():\n    return 0.1\n")
    (tmp_path / "other.py").write_text("x = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GRADPATH_PACKAGES", "mylab")
    return tmp_path


@pytest.mark.parametrize(
    ("file", "text", "changes"),
    [
        ("mylab/parts/act.py", "from helpers import slope\nimport torch\nANOTHER = 1\n", True),
        ("mylab/parts/act.py", "# A comment.\nfrom helpers import slope\n\nimport torch\n", False),
        ("mylab/parts/act.py", "from helpers import slope\nimport torch\n(", True),
        ("mylab/new.py", "x = 1\n", True),
        ("helpers.py", "import mylab\n\n\ndef slope():\n    return 0.2\n", True),
        ("helpers.py", 'import mylab\n\n\ndef slope():\n    """Of the negative side."""\n    return 0.1\n', False),
        ("other.py", "x = 2\n", False),
    ],
)
def test_what_changes_it(lab: Path, file: str, text: str, changes: bool) -> None:
    before = made_by_with({"mylab"})
    (lab / file).write_text(text)
    assert (made_by_with({"mylab"}) != before) == changes


def test_jobs_with_and_without_a_users_package_have_one_version(lab: Path) -> None:
    assert made_by_with(set()) == made_by() == version(made_by_with({"mylab"})) != made_by_with({"mylab"})
    assert made_by_with({"nowhere"}) != made_by_with({"mylab"})


def test_the_packages_that_a_configuration_names(lab: Path) -> None:
    config = {"activation": {"_target_": "mylab.parts.act.Act"}, "loss": [{"_target_": "torch.nn.ReLU"}], "seed": 0}
    assert named_packages(config) == {"mylab"}
