"""What the probe records, against a training loop written out."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gradpath.build import build_run
from gradpath.cli import compose
from gradpath.experiment import seed_everything
from gradpath.flow import record
from gradpath.flow.norms import LOG10_FLOOR, gather, log10, square_sum

OVERRIDES = ("data=xor_noisy", "data.samples=200", "model.hidden=[16,8]", "trainer.max_epochs=3", "trainer.accelerator=cpu")


def by_hand(steps: int, *overrides: str, clip: float | None = None, parts: int = 1) -> list[np.ndarray]:
    """|dW|, |W|, |Delta W| / |W| per layer and step, from a plain loop in which `parts` batches make a step."""
    config, choices = compose(*OVERRIDES, *overrides)
    seed_everything(0)
    data, network, objective, module = build_run(config, choices)
    optimizer = module.make_optimizer(network.parameters())
    loader = data.train_dataloader()
    batches = []
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        batches += list(loader)
    rows = []
    for step in range(steps):
        optimizer.zero_grad()
        for part in range(parts):
            inputs, targets = batches[step * parts + part]
            (objective.loss(network(inputs), targets) / parts).backward()
        weights = [linear.weight for linear in network.linears]
        before = [w.detach().clone() for w in weights]
        grads = [w.grad.double().norm().item() for w in weights]
        if clip:
            torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimizer.step()
        change = [(w - b).double().norm().item() for w, b in zip(weights, before, strict=True)]
        sizes = [b.double().norm().item() for b in before]
        rows.append(np.array([grads, sizes, [c / s for c, s in zip(change, sizes, strict=True)]]))
    return rows


@pytest.mark.parametrize(
    ("overrides", "clip", "parts"),
    [
        ((), None, 1),
        (("norm=batch_before",), None, 1),
        (("trainer.gradient_clip_val=0.01",), 0.01, 1),
        (("optimizer=momentum", "schedule=constant", "data.batch_size=16", "trainer.accumulate_grad_batches=3"), None, 3),
        (("init=zeros",), None, 1),
    ],
    ids=["plain", "batchnorm", "clipped", "accumulated", "zeros"],
)
def test_the_record_equals_a_loop_by_hand(run_here, overrides: tuple[str, ...], clip: float | None, parts: int) -> None:
    constant = ("schedule=constant", "probe.every=1")
    _, folder = run_here(*OVERRIDES, *constant, *overrides)
    saved = record.load(folder)
    steps = 3 * (9 if parts == 3 else 3) // parts
    assert saved["step"].tolist() == list(range(steps))
    assert saved["layer"].tolist() == ["hidden_01", "hidden_02", "output"]
    if overrides == ("init=zeros",):
        # Nothing reaches the hidden weights, and there is no ratio to zero weights.
        assert (saved["weight_grad_norm"] == 0).all()
        assert np.isnan(saved["update_ratio"]).all()
        return
    expected = by_hand(steps, *constant, *overrides, clip=clip, parts=parts)
    for index, name in enumerate(("weight_grad_norm", "weight_norm", "update_ratio")):
        for row, values in zip(saved[name], expected, strict=True):
            assert row == pytest.approx(values[index], rel=2e-4), name


def test_only_every_nth_step_is_measured(run_here) -> None:
    _, folder = run_here(*OVERRIDES, "probe.every=4")
    assert record.load(folder)["step"].tolist() == [0, 4, 8]


def test_probe_none_leaves_no_record(run_here) -> None:
    _, folder = run_here(*OVERRIDES, "probe=none")
    assert not (folder / "flow.npz").exists()


def test_norms_of_tiny_gradients_do_not_underflow() -> None:
    tensors = [torch.full((100,), 1e-30), torch.full((4,), 1e-3), torch.full((4,), 1e25), torch.zeros(3)]
    norms = gather([square_sum(tensor) for tensor in tensors]) ** 0.5
    assert norms == pytest.approx([1e-29, 2e-3, 2e25, 0], rel=1e-6)
    assert np.isnan(square_sum(torch.tensor([1.0, float("nan")])))
    assert square_sum(torch.tensor([1.0, float("inf")])) == float("inf")


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
