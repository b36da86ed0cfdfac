"""`report.html` without a browser: when it is written, of what, how large it is, and how modules become one script."""

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from conftest import Command
from gradpath.sweep.bundle import bundle
from gradpath.sweep.plan import Plan, Planned, write_plan
from gradpath.sweep.reading import read_sweep
from gradpath.sweep.report import SHARED, STATIC, write_report, write_run_report
from gradpath.sweep.report_data import LONGEST, run_content
from gradpath.sweep.summary import Summary, write_summary
from synthetic_sweep import GRID, loss, write_curves, write_sweep

pytestmark = pytest.mark.forked

MOST_BYTES = 500_000


def content(folder: Path, plan: Any) -> dict[str, Any]:
    return read_sweep(folder, plan).content


def embedded(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', page.read_text())
    assert found
    result: dict[str, Any] = json.loads(found[1])
    return result


def test_a_hundred_runs_fit_in_a_mail(tmp_path: Path) -> None:
    grid = {"activation": ["sigmoid", "tanh", "relu", "gelu"], "optimizer.lr": [f"{k / 100}" for k in range(1, 6)]}
    plan = write_sweep(tmp_path / "sweep", grid | {"seed": [*"01234"]}, count=51, epochs=200)
    assert len(plan.jobs) == 100
    write_summary(tmp_path / "sweep", plan)
    assert (tmp_path / "sweep/report.html").stat().st_size <= MOST_BYTES


def test_more_runs_have_fewer_points_each(tmp_path: Path) -> None:
    sizes = {}
    for seeds in (2, 300):
        plan = write_sweep(tmp_path / str(seeds), {"seed": [str(seed) for seed in range(seeds)]}, count=80, epochs=150)
        run = content(tmp_path / str(seeds), plan)["runs"][0]
        sizes[seeds] = len(run["curves"]["val/loss"][1]), len(run["profile"])
    assert 40 <= min(sizes[2]) <= max(sizes[2]) <= 62
    assert 20 <= min(sizes[300]) <= max(sizes[300]) <= 42


def test_points_of_curves_and_profiles_are_what_was_written(tmp_path: Path) -> None:
    plan = write_sweep(tmp_path / "sweep", GRID, count=100, epochs=130)
    found = content(tmp_path / "sweep", plan)
    for job, run in zip(plan.jobs, found["runs"], strict=True):
        grid, values = run["curves"]["val/loss"]
        epochs = found["grids"][grid]
        assert epochs[0] == 1
        assert epochs[-1] == 130
        assert values == pytest.approx([loss(job.number, epoch) for epoch in epochs], rel=1e-3)
        deltas = {
            row["layer"]: row["delta"]
            for row in json.loads((tmp_path / "sweep" / job.name / "result.json").read_text())["profile"]
        }
        shown = found["layers"][run["layers"]]
        assert [shown[0][0], *(place for place, _ in shown[-2:])] == [1, 99, 100]
        expected = [deltas[name] / [*deltas.values()][-2] for _, name in shown]
        assert run["profile"] == pytest.approx(expected, rel=1e-3)


def test_a_run_that_ended_early_keeps_its_points(tmp_path: Path) -> None:
    plan = write_sweep(tmp_path / "sweep", {"seed": ["0", "1"]}, epochs=600)
    write_curves(tmp_path / "sweep/001-job", 1, epochs=5)
    found = content(tmp_path / "sweep", plan)
    grid, values = found["runs"][1]["curves"]["val/loss"]
    assert found["grids"][grid] == [1, 2, 3, 4, 5]
    assert values == pytest.approx([loss(1, epoch) for epoch in range(1, 6)], rel=1e-3)


@pytest.mark.parametrize(
    "text",
    [
        "", "step,epoch\n", "\0\0", "step,epoch,val/loss\n5,nan,1\n", "step,epoch,val/loss\n5,inf,1\n",
        "step,epoch,val/loss\n5,1,x\n", "step,epoch,val/loss\n5,1",
    ],
)  # fmt: skip
def test_a_damaged_metrics_file_has_no_curve(tmp_path: Path, text: str) -> None:
    plan = write_sweep(tmp_path / "sweep", {"seed": ["0"]})
    (tmp_path / "sweep/000-job/metrics.csv").write_text(text)
    assert content(tmp_path / "sweep", plan)["runs"][0]["curves"] == {}


@pytest.mark.parametrize(
    "strange",
    [
        {"verdict": [1]}, {"verdict": {"findings": {"kind": 1}, "ratio": [2], "end": "x"}}, {"profile": {"a": 1}},
        {"profile": [1, {"layer": None}, {"layer": "b", "delta": "nan"}]}, {"metrics": {"test/loss": {}}},
        {"environment": {"torch": [1, 2], "git_clean": "?"}},
        {"traceback": 7}, {"durations": {"train": "inf"}}, {"parameters": "many"}, {"error": ["a"]},
    ],
)  # fmt: skip
def test_a_strange_result_makes_a_page_all_the_same(tmp_path: Path, strange: Mapping[str, Any]) -> None:
    plan = write_sweep(tmp_path / "sweep", {"seed": ["0", "1"]}, lambda number, choices, result: {**result, **strange})
    write_summary(tmp_path / "sweep", plan)
    assert len(embedded(tmp_path / "sweep/report.html")["runs"]) == 2


def test_long_texts_are_cut(tmp_path: Path) -> None:
    text = "x" * 100_000 + "the end"
    change = {"status": "failed", "error": text, "traceback": text}
    plan = write_sweep(tmp_path / "sweep", {"seed": ["0"]}, lambda number, choices, result: {**result, **change})
    [run] = content(tmp_path / "sweep", plan)["runs"]
    assert len(run["error"]) == len(run["traceback"]) == LONGEST
    assert run["traceback"].endswith("the end")


def test_the_report_is_written_with_the_summary_and_as_seldom(tmp_path: Path) -> None:
    plan = write_sweep(tmp_path, {"seed": ["0", "1"]}, lambda number, choices, result: None if number else result)
    summary = Summary(tmp_path, plan)
    summary.update()
    # No job has ended since.
    assert not (tmp_path / "report.html").exists()
    summary.old = True
    summary.update()
    assert [run["status"] for run in embedded(tmp_path / "report.html")["runs"]] == ["ok", "missing"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "report.html",
        "summary.csv",
        "summary.md",
        "sweep.yaml",
    ]
    (tmp_path / "report.html").unlink()
    for old, next_one in ((True, summary._next), (False, 0.0)):
        summary.old, summary._next = old, next_one
        summary.update()
        assert not (tmp_path / "report.html").exists()
    summary.old = True
    summary.update()
    assert (tmp_path / "report.html").exists()


def test_the_same_sweep_makes_the_same_page(tmp_path: Path) -> None:
    plan = write_sweep(tmp_path)
    pages = []
    for _ in range(2):
        write_report(read_sweep(tmp_path, plan))
        pages.append((tmp_path / "report.html").read_bytes())
    assert pages[0] == pages[1]


def test_the_page_allows_its_own_script_alone(tmp_path: Path) -> None:
    plan = write_sweep(tmp_path, {"seed": ["0"]})
    write_report(read_sweep(tmp_path, plan))
    page = (tmp_path / "report.html").read_bytes().decode()
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'" in page
    assert not re.search(r"\b(src|href)=|https?://(?!www\.w3\.org/2000/svg)|@import|url\((?!#)", page)


def test_a_run_by_itself(tmp_path: Path) -> None:
    write_sweep(tmp_path, {"seed": ["0"]})
    (tmp_path / "000-job/overrides.yaml").write_text("[activation=tanh, seed=0]\n")
    found = run_content(tmp_path / "000-job")
    assert (found["kind"], found["name"], len(found["runs"])) == ("run", "000-job", 1)
    assert found["runs"][0]["overrides"] == ["activation=tanh", "seed=0"]
    write_run_report(tmp_path / "000-job")
    assert embedded(tmp_path / "000-job/report.html") == found


def test_every_module_is_in_the_script() -> None:
    script = bundle(STATIC / "report.js")
    assert script.count("modules[") > script.count("] = (() => {") >= len([*STATIC.glob("*.js")])
    assert "@param" not in script
    assert "@typedef" not in script
    named = {name for path in STATIC.glob("*.js") for name in re.findall(r'from "\./([\w.]+)"', path.read_text())}
    assert named | {"report.js"} == {path.name for path in STATIC.glob("*.js")}, "a module that nothing imports is dead"


def test_the_script_has_the_scales_colours_and_keys_of_the_tab() -> None:
    script = bundle(STATIC / "report.js")
    for name, line in (
        ("scales.js", "const reach = Math.max"),
        ("colours.js", "#0072b2"),
        ("keyboard.js", "ArrowLeft: [-1, 0]"),
    ):
        assert line in (SHARED / name).read_text()
        assert script.count(line) == 1


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        (
            {"a.js": 'import { b } from "./b.js";\n', "b.js": 'import { a } from "./a.js";\nexport const b = 1;\n'},
            "imports itself through",
        ),
        ({"a.js": 'import * as b from "./b.js";\n', "b.js": ""}, "import \\* as b"),
        ({"a.js": "export default 1;\n"}, "export default"),
        ({"a.js": 'const b = await import("./b.js");\n'}, "import\\("),
    ],
)  # fmt: skip
def test_what_cannot_be_put_together_is_refused(tmp_path: Path, modules: Mapping[str, str], said: str) -> None:
    for name, text in modules.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=said):
        bundle(tmp_path / "a.js")


def test_the_script_writes_the_page_of_a_sweep_and_of_a_run(before_torch: Command, project: Path) -> None:
    folder = project / "logs/sweeps/demo"
    write_sweep(folder, {"seed": ["0", "1"]})
    done = before_torch("scripts/report.py", "logs/sweeps/demo")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"logs/sweeps/demo/report\.html: \d+ KB\n", done.stdout)
    assert before_torch("scripts/report.py", "demo").stdout == done.stdout
    assert before_torch("scripts/report.py", "logs/sweeps/demo/001-job").returncode == 0
    assert embedded(folder / "001-job/report.html")["kind"] == "run"


def test_a_job_that_could_not_begin_says_how_to_make_it(tmp_path: Path) -> None:
    """Such a job has left no overrides.yaml; the sweep's plan has what it was given."""
    plan = write_sweep(tmp_path, {"seed": ["0", "1"]})
    job = plan.jobs[1]
    (tmp_path / job.name / "overrides.yaml").unlink(missing_ok=True)
    for options in ("--config-dir my/own", "--config-dir=my/own", "-cd my/own"):
        failed = {"status": "failed", "error": "no", "command": f"python train.py -m {options} seed=0,1"}
        (tmp_path / job.name / "result.json").write_text(json.dumps(failed))
        found = run_content(tmp_path / job.name)
        assert found["commands"][0] == f"python train.py --config-dir=my/own {' '.join(job.overrides)}"
    targets = {
        "activation": {"_target_": "mylab.act.Own"},
        "loss": {"_target_": "torch.nn.MSELoss"},
        "data": {"_target_": 7},
    }
    (tmp_path / job.name / "config.yaml").write_text(json.dumps(targets))
    assert run_content(tmp_path / job.name)["commands"][0].startswith("GRADPATH_PACKAGES=mylab ")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([], "no folder given"),
        (["logs/nothing"], "logs/nothing: no sweep and no run"),
        (["narby"], "narby: no sweep and no run (neither sweep.yaml nor result.json is there). Did you mean nearby?"),
        (["logs/damagd"], "Did you mean damaged?"),
        (["logs/damaged"], "sweep.yaml: damaged"),
        (["logs", "more"], "more: not understood"),
    ],
)
def test_a_wrong_folder_is_answered_in_a_line(before_torch: Command, project: Path, typed: list[str], said: str) -> None:
    for folder in (project / "logs/damaged", project / "logs/sweeps/nearby"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sweep.yaml").write_text("jobs: 7\n")
    done = before_torch("scripts/report.py", *typed)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "commands", [("python train.py -m seed=0",), ("python train.py -m seed=0", "python train.py -m seed=1")]
)
def test_a_command_names_the_packages_that_it_needs(commands: tuple[str, ...], tmp_path: Path) -> None:
    jobs = [
        Planned(k, f"{k}-job", [f"seed={k}"], {"seed": str(k)}, str(k), "code", command=k, packages=["mylab"] * (k == 0))
        for k in range(len(commands))
    ]
    write_plan(tmp_path, Plan(commands, 1, tuple(jobs)))
    write_summary(tmp_path, Plan(commands, 1, tuple(jobs)))
    shown = embedded(tmp_path / "report.html")["commands"]
    assert ["GRADPATH_PACKAGES=mylab" in command for command in shown] == [True, False][: len(commands)]
    assert all(f"    {command}\n" in (tmp_path / "summary.md").read_text() for command in shown)


def test_a_sweep_leaves_its_report(command: Command, project: Path) -> None:
    tiny = ("data=xor", "model.hidden=[4,4]", "trainer.max_epochs=2", "trainer.accelerator=cpu")
    done = command("train.py", "-m", "seed=0,1", *tiny, "sweep.name=real")
    assert done.returncode == 0, done.stderr
    found = embedded(project / "logs/sweeps/real/report.html")
    assert [run["status"] for run in found["runs"]] == ["ok", "ok"]
    assert found["commands"][0].endswith(f"train.py -m seed=0,1 {shlex.join(tiny)} sweep.name=real")
    for run in found["runs"]:
        result = json.loads((project / "logs/sweeps/real" / run["job"] / "result.json").read_text())
        assert run["verdict"]["ratio"] == pytest.approx(result["verdict"]["ratio"], rel=1e-3)
        assert run["values"][found["columns"].index("val/loss")] == pytest.approx(result["metrics"]["val/loss"], rel=1e-3)
        assert run["profile"][0] == pytest.approx(result["verdict"]["ratio"], rel=2e-3)
        assert found["grids"][run["curves"]["val/loss"][0]] == [1, 2]
