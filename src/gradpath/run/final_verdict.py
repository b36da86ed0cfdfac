"""Gives the verdict on a whole run, from what the run left in its folder."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gradpath.flow import record
from gradpath.flow.profile import LayerFlow
from gradpath.model.network import MLP
from gradpath.run import divergence_guard
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
    lr: float,
) -> Verdict:
    """Extends the verdict on the start: adds the findings of the whole run, and the reading of its last profile as `end`.

    The verdict is also written into the run's record.

    Args:
        at_start: the verdict on the start.
        start, end: the profiles at the start and at the end; `end` is None if the run diverged.
        optimizer: the keys of the `optimizer` option.
        lr: the learning rate, whether it is among these keys or not.
    """
    rows = load_curves(folder)
    recorded = (folder / record.FILE).is_file()
    reading = read([row.delta for row in end[:-1]]) if end else None
    course = Course(
        diverged=divergence_guard.load(folder),
        losses=_losses(rows),
        steps=max((int(row["step"]) for row in rows), default=0),
        lr=lr,
        # Only for Adam and its relatives, which have betas. Muon's eps is used in another part of that optimiser.
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
    """The logged training losses. If there are fewer than two: the means of the epochs."""
    logged = [row["train/loss"] for row in rows if "train/loss" in row]
    return logged if len(logged) > 1 else [row["train/loss_epoch"] for row in rows if "train/loss_epoch" in row]
