"""What the probe records in a run, compared with a training loop written out by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gradpath.config.composition import compose
from gradpath.flow import callback, record
from gradpath.flow.norms import LOG10_FLOOR, log10
from gradpath.run.build import build_run
from gradpath.run.seeding import seed_everything
from oracle import by_hand

OVERRIDES = (
    "data=xor_noisy", "data.samples=200", "model.hidden=[16,8]", "trainer.max_epochs=3", "trainer.accelerator=cpu",
    "schedule=constant",
)  # fmt: skip
EXACT = ("trainer.precision=64-true", "probe=standard", "probe.slow_every=1")


def loop(steps: int, *overrides: str, clip: float | None = None, parts: int = 1) -> list[dict[str, Any]]:
    """Every quantity per step, from a plain float64 loop over the run's batches, in which a step takes `parts` batches."""
    config, choices = compose(*OVERRIDES, *overrides)
    seed_everything(0)
    data, network, objective, module = build_run(config, choices)
    network.double()
    optimizer = module.make_optimizer(network.parameters())
    loader = data.train_dataloader()
    batches = []
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        batches += [(x.double(), y) for x, y in loader]
    groups = [batches[step * parts : (step + 1) * parts] for step in range(steps)]
    return [by_hand(network, group, optimizer, clip, objective.loss) for group in groups]


@pytest.mark.parametrize(
    ("overrides", "clip", "parts"),
    [
        ((), None, 1),
        (("norm=batch_before",), None, 1),
        (("activation=tanh", "norm=batch_after"), None, 1),
        (("trainer.gradient_clip_val=0.01",), 0.01, 1),
        (("optimizer=momentum", "data.batch_size=16", "trainer.accumulate_grad_batches=3"), None, 3),
        (("optimizer=muon",), None, 1),
    ],
    ids=["plain", "batch_before", "batch_after", "clipped", "accumulated", "muon"],
)
def test_the_record_equals_a_loop_by_hand(run_here, overrides: tuple[str, ...], clip: float | None, parts: int) -> None:
    _, folder = run_here(*OVERRIDES, *EXACT, *overrides)
    saved = record.load(folder)
    steps = 3 * (9 if parts == 3 else 3) // parts
    assert saved["step"].tolist() == list(range(steps))
    assert saved["layer"].tolist() == ["hidden_01", "hidden_02", "output"]
    assert ("weight_grad_norm_clipped" in saved) == (clip is not None)
    compared = 0
    for step, row in enumerate(loop(steps, *EXACT, *overrides, clip=clip, parts=parts)):
        for name in set(row) & set(saved):
            assert saved[name][step] == pytest.approx(row[name], rel=1e-6, nan_ok=True), (name, step)
            compared += 1
    assert compared >= 10 * steps


def test_bfloat16_is_unscaled(run_here) -> None:
    _, folder = run_here(*OVERRIDES, "trainer.precision=bf16-mixed", "probe=standard", "probe.every=1")
    saved, (row,) = record.load(folder), loop(1)
    for name in set(row) & set(saved):
        assert saved[name][0] == pytest.approx(row[name], rel=3e-2, abs=1e-3, nan_ok=True), name


def test_nothing_reaches_the_weights_of_zeros(run_here) -> None:
    _, folder = run_here(*OVERRIDES, "init=zeros", "probe.every=1")
    saved = record.load(folder)
    assert (saved["weight_grad_norm"] == 0).all()
    # A ratio to weights of zero is not defined.
    assert np.isnan(saved["update_ratio"]).all()


def test_everything_at_once(run_here) -> None:
    """probe=full records every quantity, puts histograms and pictures into TensorBoard, and the Jacobian into the result."""
    result, folder = run_here(*OVERRIDES, "probe=full", "probe.every=3")
    saved = record.load(folder)
    assert saved["step"].tolist() == [0, 3, 6, 8]
    assert saved["rank"].tolist() == [[2.0, 8.0, 1.0]] * 4
    assert (np.abs(saved["correlation"]) <= 1 + 1e-12).all()
    assert saved["theory_delta"][:2] == pytest.approx(
        [row["delta"] * result["profile"][1]["delta"] for row in result["theory"]], rel=1e-12
    )
    assert np.isnan(saved["theory_delta"][2])
    assert json.loads(str(saved["verdict"])) == result["verdict"]
    assert np.shape(result["jacobian"]) == (4, 1)
    board = EventAccumulator(str(folder))
    board.Reload()
    assert set(board.Tags()["images"]) == {"gradient_flow"}
    # Only the first and the last are drawn: a run of a second does not spend another one on pictures.
    assert [image.step for image in board.Images("gradient_flow")] == [3, 9]
    names = {f"{kind}/{layer}" for kind in ("activation", "weight_grad") for layer in ("hidden_01", "hidden_02")}
    assert set(board.Tags()["histograms"]) == names | {"weight_grad/output"}


def test_the_record_can_be_read_while_the_run_goes_on(run_here, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record is saved in the middle of an epoch too, and each time as a whole."""
    saves: list[int] = []
    monkeypatch.setattr(callback, "SAVE_EVERY", 0.0)
    # However slow saving is on a busy machine.
    monkeypatch.setattr(callback, "SAVE_SHARE", 1e9)
    whole = record.Record.save
    monkeypatch.setattr(record.Record, "save", lambda self, folder: (saves.append(len(self.steps)), whole(self, folder)))
    _, folder = run_here(*OVERRIDES, "probe.every=1", "trainer.max_epochs=1", "data.samples=4000")
    assert len(saves) > 2
    assert record.load(folder)["step"].tolist() == list(range(len(record.load(folder)["step"])))


def test_only_every_nth_step_is_measured(run_here) -> None:
    _, folder = run_here(*OVERRIDES, "probe.every=4")
    assert record.load(folder)["step"].tolist() == [0, 4, 8]


def test_probe_none_leaves_no_record(run_here) -> None:
    _, folder = run_here(*OVERRIDES, "probe=none")
    assert not (folder / "flow.npz").exists()


def test_log10_keeps_small_things_apart() -> None:
    assert log10(np.array([1e-3, 1e-20, 0.0])).tolist() == pytest.approx([-3, -20, np.log10(LOG10_FLOOR)])


def test_a_continued_record_drops_what_comes_again(tmp_path: Path) -> None:
    first = record.Record(["a", "b"], ["x"])
    for step in (0, 5, 10):
        first.add(step, np.full((1, 2), float(step)))
    first.save(tmp_path)
    second = record.Record(["a", "b"], ["x"])
    second.continue_from(tmp_path, 10)
    second.add(10, np.full((1, 2), 99.0))
    second.save(tmp_path)
    saved = record.load(tmp_path)
    assert saved["step"].tolist() == [0, 5, 10]
    assert saved["x"][:, 0].tolist() == [0, 5, 99]
