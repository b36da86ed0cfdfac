"""The verdict on a whole run, from what it left in its folder."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gradpath.flow import record
from gradpath.flow.profile import LayerFlow
from gradpath.model.network import MLP
from gradpath.run import guard
from gradpath.run.saved import load_curves
from gradpath.verdict.gradient_class import read
from gradpath.verdict.in_training import Course, findings_in_training
from gradpath.verdict.verdict import Verdict


def judge(
    folder: Path,
    at_start: Verdict,
    start: Sequence[LayerFlow],
    end: Sequence[LayerFlow] | None,
    network: MLP,
    optimizer: Mapping[str, Any],
) -> Verdict:
    """The verdict on the start, with the findings of the whole run and, as `end`, the reading of the profile it ended with.

    Kept in the run's record too.

    Args:
        at_start: the verdict on the start.
        start, end: the profiles; `end` is None where the run broke down.
        optimizer: the keys of the `optimizer` option.
    """
    rows = load_curves(folder)
    recorded = (folder / record.FILE).is_file()
    reading = read([row.delta for row in end[:-1]]) if end else None
    course = Course(
        diverged=guard.load(folder),
        losses=_losses(rows),
        steps=max((int(row["step"]) for row in rows), default=0),
        lr=optimizer["lr"],
        # Adam and its kin; Muon's own eps belongs to another part of it.
        eps=optimizer.get("eps") if "betas" in optimizer else None,
        sizes=[linear.weight.numel() for linear in network.linears],
        record=record.load(folder) if recorded else None,
        layers=[row.layer for row in start[:-1]],
        dead=([row.dead or 0.0 for row in start[:-1]], [row.dead or 0.0 for row in (end or [])[:-1]]),
        readings=(at_start.start.kind, reading.kind if reading else None),
    )
    whole = replace(at_start, findings=findings_in_training(course, at_start.findings), end=reading)
    if recorded:
        record.set_verdict(folder, whole.as_dict())
    return whole


def _losses(rows: Sequence[Mapping[str, float]]) -> list[float]:
    """The training loss as logged; of a run too short to log it twice, its epochs' means and the last validation's."""
    logged = [row["train/loss"] for row in rows if "train/loss" in row]
    if len(logged) > 1:
        return logged
    means = [row["train/loss_epoch"] for row in rows if "train/loss_epoch" in row]
    return means + [row["val/loss"] for row in rows if "val/loss" in row][-1:]
