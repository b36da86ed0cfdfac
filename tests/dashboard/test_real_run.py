"""The tab beside real runs: one that has ended, and one that trains while the browser looks on."""

from pathlib import Path

from board import chromium, serving, wait_until
from tab import Tab

RUN = ("data.limit=6400", "data.batch_size=32", "model=deep", "model.depth=8", "model.width=64", "trainer.accelerator=cpu",
       "probe=standard")  # fmt: skip


def test_two_real_runs_while_one_trains(command, start, project: Path) -> None:
    logs = project / "logs/live"
    ended = command("train.py", *RUN, "trainer.max_epochs=1", f"hydra.run.dir={logs / 'relu'}")
    assert ended.returncode == 0, ended.stderr
    training = start(
        "train.py", *RUN, "activation=sigmoid", "init=xavier_normal", "trainer.max_epochs=1000",
        f"hydra.run.dir={logs / 'sigmoid'}",
    )  # fmt: skip
    try:
        with serving("--logdir", logs) as url, chromium() as browser:
            wait_until((logs / "sigmoid/flow.npz").is_file)
            tab = Tab(browser, url)
            tab.frame.get_by_role("checkbox", name="sigmoid").wait_for()
            tab.choose("relu", "sigmoid")
            # A healthy run is close to one colour, the reference.
            assert tab.colours("relu") > 5
            assert tab.colours("sigmoid") > 50
            newest = tab.text("#readout")
            wait_until(lambda: tab.text("#readout") != newest)
            late = tab.curve("sigmoid")
            tab.frame.locator("#step").press("Home")
            assert tab.text("#readout").startswith("step 0 of")
            assert tab.curve("sigmoid") != late
            assert "vanishing" in tab.panel("sigmoid").inner_text()
            assert "healthy" in tab.panel("relu").inner_text()
            assert training.poll() is None
            assert tab.errors == []
    finally:
        training.kill()
        training.communicate()
