"""Names of files that are being written."""

import subprocess
import sys
from pathlib import Path

from gradpath.files import remove_leftovers, temporary


def test_writers_on_two_machines_have_names_of_their_own(tmp_path: Path) -> None:
    """Their processes may have one number: only what stands behind it counts."""
    code = "from pathlib import Path; from gradpath.files import temporary; print(temporary(Path('result.json')))"
    names = [subprocess.check_output([sys.executable, "-c", code], text=True).strip() for _ in range(2)]
    names.append(str(temporary(Path("result.json"))))
    assert len({name.partition("-")[2] for name in names}) == 3
    assert temporary(tmp_path / "result.json") == temporary(tmp_path / "result.json")
    # What killed writers leave is removed, and nothing else.
    for name in (*names, ".result.json.123", ".result.json.before", ".result.json.mine"):
        (tmp_path / name).write_text("")
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".result.json.mine"]
