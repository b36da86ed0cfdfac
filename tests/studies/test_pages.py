"""The chapter's pages, their contents, and the command that makes them."""

import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from conftest import tree
from gradpath.config.checks import PROJECT
from gradpath.studies import trainings
from gradpath.studies.chapter import activations, commands
from gradpath.studies.chapter.entries import CHAPTER, STUDIES
from gradpath.studies.chapter.page import contents, page, terminal
from gradpath.studies.chapter.study import Conclusion, Study, Table

pytestmark = pytest.mark.forked


def test_every_claim_is_in_the_contents(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each once at least, in the chapter's order, with its page or its command; the pages are in docs/studies."""
    claims = [claim for entry in CHAPTER.values() for claim in entry.claims]
    assert list(dict.fromkeys(claims)) == [f"C{k}" for k in range(1, 19)]
    written = (PROJECT / "docs/studies/README.md").read_text()
    found = {}
    # It trains a run, which is not for the user's logs.
    monkeypatch.setattr(trainings, "STUDIES", tmp_path)
    verdicts = commands.verdicts()
    assert all(said.startswith("right: ") for said in verdicts.values())
    for name, entry in STUDIES.items():
        text = (PROJECT / f"docs/studies/{name}.md").read_text()
        (found[name],) = re.findall(r"^\*\*Found:\*\* (.*)\.$", text, re.MULTILINE)
        assert re.match("right|not borne out|not shown", found[name])
        assert text.startswith(f"# {entry.title}")
        assert f"\npython scripts/study.py {name}\n" in text
        assert "**fails**" not in text
        for picture in re.findall(r"\]\((\w+\.(?:png|gif))\)", text):
            with Image.open(PROJECT / "docs/studies" / picture) as opened:
                assert 700 <= opened.width <= 2000
                assert 300 <= opened.height <= 1600
                assert len(opened.convert("RGB").getcolors(1 << 24) or []) > 50
    assert written == contents(CHAPTER, found | verdicts)
    assert "(docs/studies/README.md)" in (PROJECT / "README.md").read_text()


@pytest.mark.parametrize(
    ("conclusions", "verdict"),
    [
        ([("a", "", True)], "right: a"),
        ([("a", "", True), ("b", "", True), ("", "", False)], "right: a; b"),
        ([("a", "", True), ("", "b", True)], "right in part: a; b"),
        ([("", "b", True)], "not borne out: b"),
        ([("a", "", True), ("b", "", False)], "open: a conclusion that bears on it fails"),
        ([("", "", True)], ""),
        ([("a", "", None)], "not shown: u"),
        ([("a", "", True), ("b", "", None)], "right: a; not shown: u"),
        ([("", "a", True), ("b", "", None)], "not borne out: a; not shown: u"),
        ([("a", "", False), ("b", "", None)], "open: a conclusion that bears on it fails"),
    ],
)
def test_the_verdict_on_the_chapter(conclusions, verdict: str) -> None:
    """From what bears on its claim and holds, and from nothing else."""
    made = [
        Conclusion("it is so", "1", holds, supports, contradicts, "u" if holds is None else "")
        for supports, contradicts, holds in conclusions
    ]
    found = Study("", Table(("a",), []), made, {}, {})
    assert found.verdict == verdict
    entry = STUDIES["collapse"]
    assert (f"**Found:** {verdict}." in page(entry, found, "")) == bool(verdict)
    assert (f"found {verdict}" in terminal(entry, found)) == bool(verdict)
    unsaid = [holds for *_, holds in conclusions].count(None)
    assert found.conclusive == (not unsaid)
    assert terminal(entry, found).count("not shown: it is so") == unsaid
    assert page(entry, found, "").count("- not shown: it is so.") == unsaid
    assert found.holds == (False not in [holds for *_, holds in conclusions])


def test_a_conclusion_that_fails_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slope of the sigmoid made a half: the study's own number, not a sentence, decides."""
    monkeypatch.setattr(torch.nn.Sigmoid, "forward", lambda self, h: torch.sigmoid(2 * h))
    broken = activations.activations()
    assert not broken.holds
    assert [conclusion.holds for conclusion in broken.conclusions] == [False, True, True, True]
    assert "**fails**: the sigmoid" in page(STUDIES["activations"], broken, "")


def test_what_an_interval_leaves_open_is_not_shown() -> None:
    """It is no failure either: the exit code of the command is 0."""
    open_ = Conclusion("more than before", "+0.1 +- 0.4 points (n = 3)", None, supports="more", unshown="+0.1")
    found = Study("", Table(("a",), []), [open_], {}, {})
    assert found.holds
    assert (open_.fails, open_.word) == (False, "not shown")
    written = page(STUDIES["collapse"], found, "")
    assert "\n- not shown: more than before. Measured: +0.1 +- 0.4 points (n = 3)." in written
    assert "95 % interval by Student's t; n: number of seeds." in written
    assert "not shown: more than before" in terminal(STUDIES["collapse"], found)


def test_the_command(command, project: Path) -> None:
    listed = command("scripts/study.py")
    heading, *lines = listed.stdout.splitlines()
    assert heading.endswith("question (C1 to C18: the chapter's claims that it answers)")
    assert [line.split()[0] for line in lines] == list(STUDIES)
    done = command("scripts/study.py", "activations", "--pages", str(project / "logs/pages"))
    assert done.returncode == 0, done.stderr
    assert (project / "logs/pages/activations.png").stat().st_size > 50_000
    assert (project / "logs/pages/activations.md").read_text().startswith("# What do activations let through? (C8)")
    before = tree(project)
    for typed, message in (
        ("learningrate", "learningrate: must be xor, collapse, "),
        ("learning_rate rates=a", "rates=a: must be a list of numbers, such as [0.1,0.01]."),
        ("learning_rate rates=[1]", "rates=[1.0]: must be 2 to 7 different positive numbers"),
        ("learning_rate activation=reluu", "activation=reluu: no such option. Did you mean relu?"),
        (
            "learning_rate data=sine loss=cross_entropy",
            "loss=cross_entropy: for multiclass data, but this data is regression",
        ),
        ("rates=[1,2]", "rates=[1,2]: study.py has no such key. It belongs to learning_rate."),
        ("learning_rate seed=3", "seed=3: learning_rate sets it itself"),
        ("learning_rate rate=[1,2]", "rate=[1,2]: learning_rate has no such key. Did you mean rates?"),
        ("learning_rate --quick rates=[1,1]", "rates=[1.0, 1.0]: must be 2 to 7 different positive numbers"),
        ("learning_rate activation=relu,tanh", "activation=relu,tanh: "),
        ("--quick", "which study? There are xor, collapse"),
        ("activations rates=[1,2]", "rates=[1,2]: activations has no such key. It belongs to learning_rate."),
        ("xor --pages /proc/pages", "/proc/pages: No such file or directory; choose another place."),
        ("xor --pages .", "--pages .: must name a folder of its own, such as docs/studies."),
        ("--all xor", "xor: write the name of one study, or --all alone."),
        ("xor collapse", "collapse: not understood. Allowed: [-h] [STUDY] [key=value ...] "),
    ):
        wrong = command("scripts/study.py", *typed.split())
        assert (wrong.returncode, wrong.stdout) == (2, ""), typed
        assert wrong.stderr.startswith(f"error: {message}"), wrong.stderr
        assert wrong.stderr.count("\n") == 1
    assert tree(project) == before
