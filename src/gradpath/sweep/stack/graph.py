"""A stack's steps from a CUDA graph: captured once, replayed without Python between kernels."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from gradpath.data.batch import Batch
from gradpath.sweep.stack.stacked import StackError
from gradpath.sweep.stack.stepping import StackTraining

# Steps that run one by one first: they make the optimisers' states, and what libraries set up at a first call.
WARM_UP = 3


class GraphedSteps:
    """Several steps of a stack's training as one CUDA graph.

    What changes from step to step lies on the device: the place in the epoch's order, and the learning rates, which a table
    holds for the whole training.

    Args:
        training: on a GPU; it must have made its first `WARM_UP` steps.
        steps: per replay. None of them is measured.

    Raises:
        StackError: the training cannot be captured; the message says why.
    """

    def __init__(self, training: StackTraining, steps: int) -> None:
        self.training, self.steps = training, steps
        batches, device = training.batches, training.device
        self.size = batches.data.batch_size
        self.orders = torch.zeros(training.stack.runs, len(batches.inputs), dtype=torch.int64, device=device)
        self.place = torch.zeros((), dtype=torch.int64, device=device)
        self.now = torch.zeros((), dtype=torch.int64, device=device)
        self.losses = torch.zeros(steps, training.stack.runs, device=device)
        self.scores = torch.zeros_like(self.losses)
        self.rates = [self._on_device(part.optimizer, part.schedule) for part in training.optimizing.parts]
        self.graph = torch.cuda.CUDAGraph()
        training.optimizing.zero_grad()
        torch.cuda.synchronize()
        try:
            with torch.cuda.graph(self.graph):
                for index in range(steps):
                    self._step(index)
        except RuntimeError as error:
            raise StackError(f"cannot be captured: {str(error).splitlines()[0]}") from error

    def begin_epoch(self, orders: Tensor) -> None:
        """The order of every run's samples in this epoch, (runs, samples)."""
        self.orders.copy_(orders)
        self.place.zero_()
        self.now.fill_(self.training.step)

    def replay(self) -> tuple[Tensor, Tensor]:
        """Makes the steps. Returns their losses and scores, (steps, runs) each, which the next replay overwrites."""
        self.graph.replay()
        self.training.step += self.steps
        return self.losses, self.scores

    def _step(self, index: int) -> None:
        training = self.training
        rows = self.orders.index_select(1, self.place + torch.arange(self.size, device=self.place.device))
        batch: Batch = training.batches.taken(rows)
        losses, outputs = training.pass_through(batch)
        training.look(losses, self.now)
        for rate, table in self.rates:
            rate.copy_(table.index_select(0, self.now[None])[0])
        training.optimizing.step(schedules=False)
        with torch.no_grad():
            self.losses[index].copy_(losses)
            self.scores[index].copy_(training.scores(outputs, batch.targets))
            self.place.add_(self.size)
            self.now.add_(1)

    def _on_device(self, optimizer: Optimizer, schedule: object) -> tuple[Tensor, Tensor]:
        """Puts an optimiser's learning rate on the device. Returns it, and its values over the whole training."""
        if not isinstance(schedule, LambdaLR):
            raise StackError(f"cannot be captured: {type(schedule).__name__} is no function of the step")
        (group,) = optimizer.param_groups
        if "capturable" in group:
            group["capturable"] = True
        elif not group.get("fused"):
            raise StackError(f"cannot be captured: {type(optimizer).__name__} reads its learning rate on the host")
        for state in optimizer.state.values():
            # The step's number, and products of it, stand on the host otherwise.
            for key, value in state.items():
                if isinstance(value, Tensor) and not value.ndim:
                    state[key] = value.to(self.place.device, torch.float32)
        table = rates(schedule, self.training.total)
        rate = torch.tensor(float(group["lr"]), device=self.place.device)
        group["lr"] = rate
        return rate, torch.tensor(table, device=self.place.device)


def rates(schedule: LambdaLR, steps: int) -> Sequence[float]:
    """The learning rate of every step."""
    return [float(schedule.base_lrs[0]) * schedule.lr_lambdas[0](step) for step in range(steps)]
