"""The verdict on a whole run, from what it left in its folder."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gradpath.flow import record
from gradpath.flow.profile import LayerFlow
from gradpath.model.network import MLP
from gradpath.run import metrics
from gradpath.verdict import divergence
from gradpath.verdict.at_start import Finding
from gradpath.verdict.in_training import Course, findings_in_training
from gradpath.verdict.reading import read


def judge(
    folder: Path,
    at_start: Mapping[str, Any],
    start: Sequence[LayerFlow],
    end: Sequence[LayerFlow] | None,
    network: MLP,
    optimizer: Mapping[str, Any],
) -> dict[str, Any]:
    """The verdict on the start, with the findings of the whole run and, as `end`, the reading of the profile it ended with.

    Kept in the run's record too.

    Args:
        at_start: what `verdict` said of the start.
        start, end: the profiles; `end` is None where the run broke down.
        optimizer: the keys of the `optimizer` option.
    """
    rows = metrics.load(folder)
    found = divergence.load(folder)
    recorded = (folder / record.FILE).is_file()
    reading = read([row.delta for row in end[:-1]]).as_dict() if end else None
    course = Course(
        diverged=str(found) if found else None,
        losses=_losses(rows),
        steps=max((int(row["step"]) for row in rows), default=0),
        lr=optimizer["lr"],
        # Adam and its kin; Muon's own eps belongs to another part of it.
        eps=optimizer.get("eps") if "betas" in optimizer else None,
        sizes=[linear.weight.numel() for linear in network.linears],
        record=record.load(folder) if recorded else None,
        layers=[row.layer for row in start[:-1]],
        dead=([row.dead or 0.0 for row in start[:-1]], [row.dead or 0.0 for row in (end or [])[:-1]]),
        readings=(at_start["class"], reading["class"] if reading else None),
    )
    findings = findings_in_training(course, [Finding(**finding) for finding in at_start["findings"]])
    whole = {**at_start, "findings": [asdict(finding) for finding in findings], "end": reading}
    if recorded:
        record.set_verdict(folder, whole)
    return whole


def _losses(rows: Sequence[Mapping[str, float]]) -> list[float]:
    """The training loss as logged; of a run too short to log it twice, its epochs' means and the last validation's."""
    logged = [row["train/loss"] for row in rows if "train/loss" in row]
    if len(logged) > 1:
        return logged
    means = [row["train/loss_epoch"] for row in rows if "train/loss_epoch" in row]
    return means + [row["val/loss"] for row in rows if "val/loss" in row][-1:]
