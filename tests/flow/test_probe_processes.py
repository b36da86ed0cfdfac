"""The probe in two processes that share the batches, or in one of them."""

import copy
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.algorithms.join import Join

from conftest import network_of
from gradpath.flow import record
from gradpath.verdict.probing import probe
from oracle import Batch, by_hand
from probing import batches, measured

Loop = Callable[[int, Path], None]


def in_two_processes(rank: int, port: int, folder: Path) -> None:
    """Runs all loops in one of two processes. Starting these takes longer than anything that they do."""
    torch.set_num_threads(1)
    # A process that waits for one that does not come fails.
    wait = timedelta(seconds=60)
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2, timeout=wait)
    for loop in (shared_batches, own_experts, own_shares, first_process_only, uneven_batches):
        loop(rank, folder / loop.__name__)
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Loop, int], dict[str, Any]]:
    """`recorded(loop, rank)` -> what this process recorded of the loop."""
    folder = tmp_path_factory.mktemp("processes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(in_two_processes, (port, folder), nprocs=2)
    return lambda loop, rank: record.load(folder / loop.__name__ / str(rank))


def shared_batches(rank: int, folder: Path) -> None:
    torch.manual_seed(0)
    network = network_of("relu", "none", [7, 6]).double()
    model = nn.parallel.DistributedDataParallel(network)
    halves = [[(x[rank::2], y[rank::2])] for x, y in batches(3)]
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    measured(model, halves, optimizer, clip=0.01, folder=f"{folder}/{rank}", distributed=True)


def test_two_processes_see_what_one_sees(recorded) -> None:
    torch.manual_seed(0)
    network = network_of("relu", "none", [7, 6]).double()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    expected = [by_hand(network, [batch], optimizer, clip=0.01) for batch in batches(3)]
    for rank in (0, 1):
        saved = recorded(shared_batches, rank)
        for step, row in enumerate(expected):
            for name in set(row) & set(saved):
                assert saved[name][step] == pytest.approx(row[name], rel=1e-6, nan_ok=True), (name, step, rank)
        seen = torch.cat([row["outputs"][0] for row in expected])
        assert saved["dead"][-1, 0] == pytest.approx((seen == 0).all(0).double().mean().item())


class Experts(nn.Module):
    """Two experts; each process uses its own one only."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(
            [nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 2)) for width in (4, 6)]
        )

    def forward(self, x: Tensor, which: int) -> Tensor:
        outputs: Tensor = self.experts[which](x)
        return outputs


def own_experts(rank: int, folder: Path) -> None:
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel(Experts(), find_unused_parameters=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with probe(model, distributed=True) as p:
        model(torch.full((4, 3), 0.5 + rank), rank).square().mean().backward()
        optimizer.step()
    own = folder / str(rank)
    own.mkdir(parents=True)
    p.record.save(own)


def test_two_processes_that_use_different_layers(recorded) -> None:
    torch.manual_seed(0)
    alone = Experts()
    for which, rank in ((0, 0), (1, 1)):
        with probe(alone.experts[which]) as p:
            alone(torch.full((4, 3), 0.5 + rank), which).square().mean().backward()
            torch.optim.SGD(alone.parameters(), lr=0.0).step()
        expected, saved = p.record.row(0), recorded(own_experts, 0)
        columns = [saved["layer"].tolist().index(f"experts.{which}.{name}") for name in (0, 2)]
        for name in ("delta", "activation_mean", "activation_variance", "saturated", "dead"):
            assert saved[name][0, columns] == pytest.approx(expected[name], rel=1e-5, nan_ok=True), (name, which)


def network_and_halves(rank: int) -> tuple[nn.Module, list[list[Batch]]]:
    torch.manual_seed(0)
    return network_of("relu", "none", [7, 6]).double(), [[(x[rank::2], y[rank::2])] for x, y in batches(3)]


def own_shares(rank: int, folder: Path) -> None:
    network, halves = network_and_halves(rank)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    p = measured(nn.parallel.DistributedDataParallel(network), halves, optimizer, folder=f"{folder}/{rank}")
    assert p.verdict()["process"] == f"process {rank} of 2"


def first_process_only(rank: int, folder: Path) -> None:
    network, halves = network_and_halves(rank)
    model, optimizer = nn.parallel.DistributedDataParallel(network), torch.optim.SGD(network.parameters(), lr=0.01)
    if rank == 0:
        measured(model, halves, optimizer, folder=f"{folder}/{rank}")
        return
    for ((x, y),) in halves:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


def uneven_batches(rank: int, folder: Path) -> None:
    """One process has twice as many batches; torch lets the other one join in its averages."""
    network, halves = network_and_halves(rank)
    model, optimizer = nn.parallel.DistributedDataParallel(network), torch.optim.SGD(network.parameters(), lr=0.01)
    with Join([model]):
        measured(model, halves * (1 + rank), optimizer, folder=f"{folder}/{rank}")


@pytest.mark.parametrize("loop", [own_shares, first_process_only])
def test_a_process_measures_its_own_samples(recorded, loop: Loop) -> None:
    """What the optimiser was given is the average of all."""
    torch.manual_seed(0)
    network = network_of("relu", "none", [7, 6]).double()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    for step, (x, y) in enumerate(batches(3)):
        for rank in (0, 1) if loop is own_shares else (0,):
            alone = copy.deepcopy(network)
            row = by_hand(alone, [(x[rank::2], y[rank::2])], torch.optim.SGD(alone.parameters(), lr=0.0))
            saved = recorded(loop, rank)
            for name in ("delta", "activation_mean", "activation_variance"):
                assert saved[name][step] == pytest.approx(row[name], rel=1e-6, nan_ok=True), (name, step, rank)
        whole = by_hand(network, [(x, y)], optimizer)
        for name in ("weight_grad_norm", "bias_grad_norm", "update_ratio"):
            assert recorded(loop, 0)[name][step] == pytest.approx(whole[name], rel=1e-6), (name, step)


def test_one_process_has_more_batches_than_the_other(recorded) -> None:
    assert [recorded(uneven_batches, rank)["step"].tolist() for rank in (0, 1)] == [[0, 1, 2], [0, 1, 2, 3, 4, 5]]
