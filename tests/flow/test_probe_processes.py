"""The probe in two processes that share the batches."""

import socket
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from conftest import network_of
from gradpath.flow import record
from gradpath.verdict.probing import probe
from oracle import by_hand
from probing import batches, measured


def _in_two_processes(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.manual_seed(0)
    network = network_of("relu", "none", [7, 6]).double()
    model = nn.parallel.DistributedDataParallel(network)
    halves = [[(x[rank::2], y[rank::2])] for x, y in batches(3)]
    measured(model, halves, torch.optim.Adam(network.parameters(), lr=0.01), clip=0.01, folder=f"{folder}/{rank}")
    torch.distributed.destroy_process_group()


def test_two_processes_see_what_one_sees(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_in_two_processes, (port, str(tmp_path)), nprocs=2)
    torch.manual_seed(0)
    network = network_of("relu", "none", [7, 6]).double()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    expected = [by_hand(network, [batch], optimizer, clip=0.01) for batch in batches(3)]
    for rank in (0, 1):
        saved = record.load(tmp_path / str(rank))
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


def experts_process(rank: int, port: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel(Experts(), find_unused_parameters=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with probe(model) as p:
        model(torch.full((4, 3), 0.5 + rank), rank).square().mean().backward()
        optimizer.step()
    p.record.save(Path(folder) / str(rank))
    torch.distributed.destroy_process_group()


def test_layers_that_only_one_process_uses(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for rank in (0, 1):
        (tmp_path / str(rank)).mkdir()
    torch.multiprocessing.spawn(experts_process, args=(port, str(tmp_path)), nprocs=2)
    torch.manual_seed(0)
    alone = Experts()
    for which, rank in ((0, 0), (1, 1)):
        with probe(alone.experts[which]) as p:
            alone(torch.full((4, 3), 0.5 + rank), which).square().mean().backward()
            torch.optim.SGD(alone.parameters(), lr=0.0).step()
        expected, saved = p.record.row(0), record.load(tmp_path / "0")
        columns = [saved["layer"].tolist().index(f"experts.{which}.{name}") for name in (0, 2)]
        for name in ("delta", "activation_mean", "activation_variance", "saturated", "dead"):
            assert saved[name][0, columns] == pytest.approx(expected[name], rel=1e-5, nan_ok=True), (name, which)
