"""A key that some run was not given: one word for it, wherever people read it; and `1 job`, not `1 jobs`."""

import re
from pathlib import Path

from conftest import Command
from finished_sweeps import result, write_run, write_sweep
from gradpath.config.checks import PROJECT
from gradpath.sweep.plan import Plan, Planned, write_plan
from gradpath.sweep.rows import UNSET
from gradpath.sweep.summary import write_summary

PAGES = PROJECT / "src/gradpath"


def test_one_word_in_all_places(before_torch: Command, tmp_path: Path) -> None:
    keys = ({"optimizer": "adam"}, {"optimizer": "sgd", "optimizer.momentum": "0.9"})
    given = [varied | {"seed": seed} for varied in keys for seed in "01"]
    jobs = []
    for number, varied in enumerate(given):
        overrides = [f"{key}={value}" for key, value in varied.items()]
        jobs.append(Planned(number, f"{number}-job", overrides, dict(varied), str(number), ""))
        write_run(tmp_path / f"{number}-job", result(0.5, seed=int(varied["seed"])))
    plan = Plan("python train.py -m", 1, tuple(jobs))
    write_plan(tmp_path, plan)
    write_summary(tmp_path, plan)
    momentum = [line.split(" | ")[3] for line in (tmp_path / "summary.md").read_text().splitlines() if "-job |" in line]
    assert momentum == [UNSET, UNSET, "0.9", "0.9"]
    done = before_torch(
        "scripts/compare.py", str(tmp_path), "--by", "optimizer.momentum", "--against", "optimizer.momentum=unset"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Against optimizer.momentum={UNSET}: " in done.stdout
    assert re.search(rf"^ +{UNSET} +0\.5 ", done.stdout, re.MULTILINE)


def test_the_pages_have_the_same_word() -> None:
    report, tab = PAGES / "sweep/static/data.js", PAGES / "dashboard/static/grouping.js"
    assert f'"{UNSET}"' in report.read_text()
    assert f'varied[key] : key && "{UNSET}"' in tab.read_text()


def test_the_tab_has_words_for_all_that_is_recorded() -> None:
    recorded = re.findall(r"^\| `(\w+)` \| \(S, L\) \|", (PROJECT / "docs/record.md").read_text(), re.MULTILINE)
    worded = re.findall(r'^  \["(\w+)", ', (PAGES / "dashboard/static/quantities.js").read_text(), re.MULTILINE)
    assert "delta_rms" in recorded
    assert {*recorded} <= {*worded}


def test_one_job_is_one_job(command: Command, before_torch: Command, tmp_path: Path) -> None:
    dry = ("train.py", "-m", "seed=0", "sweep.name=one", "sweep.dry_run=true")
    assert command(*dry).stdout.endswith("\n1 job\n")
    write_sweep(tmp_path, {"seed": ["0"]}, lambda given: result(0.5))
    assert ": 1 run, 1 ok;" in before_torch("scripts/compare.py", str(tmp_path)).stdout
    write_run(tmp_path / "0-job", result(None, status="failed", error="no"))
    assert "of 1 job 1 failed" in before_torch("scripts/compare.py", str(tmp_path)).stderr
