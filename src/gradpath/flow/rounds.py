"""Which calls of which optimisers make a step: a round of all of them."""

from collections.abc import Callable, Collection

from torch import nn
from torch.optim import Optimizer


class Rounds:
    """Tells when a step is complete, from the optimisers that have stepped.

    A step is a round: each optimiser of the model steps once (a generator's and a discriminator's, one for each parameter).
    It is complete when all has been moved that was to be trained at some time since the beginning (a part may be frozen
    while another one steps), or when all optimisers of the round before have stepped.
    An optimiser that steps again before that ends a round without the others. So an optimiser that steps at every fifth
    iteration takes part in every fifth step.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.now: set[int] = set()
        self.before: set[int] = set()
        self.moved: set[int] = set()
        self.wanted = self._to_be_trained()

    def again(self, optimizer: Optimizer) -> bool:
        """Whether `optimizer` has stepped in this round, so that another one begins."""
        return id(optimizer) in self.now

    def add(self, optimizer: Optimizer, moving: Collection[int]) -> bool:
        """Whether the round is complete with a step of `optimizer`, which moves the parameters with these ids."""
        self.now.add(id(optimizer))
        self.moved.update(moving)
        return self.now == self.before or self._are_moved()

    def _are_moved(self) -> bool:
        # Most often the first that is looked at has not been moved.
        if any(parameter.requires_grad and id(parameter) not in self.moved for parameter in self.model.parameters()):
            return False
        # What was taken out of the model is no longer to be trained.
        self.wanted &= {id(parameter) for parameter in self.model.parameters()}
        self.wanted |= self._to_be_trained()
        return self.wanted <= self.moved

    def _to_be_trained(self) -> set[int]:
        return {id(parameter) for parameter in self.model.parameters() if parameter.requires_grad}

    def is_begun(self) -> bool:
        """Whether a round has begun that nothing will complete: the first, or one of an optimiser of the round before.

        What another optimiser did in between would have belonged to the next round.
        """
        return bool(self.now) and (not self.before or bool(self.now & self.before))

    def end(self) -> None:
        """Another round begins."""
        self.before, self.now, self.moved = self.now, set(), set()


class StepNumber(int):
    """The number of steps done, which a loop without an optimiser calls to end one: `p.step()`."""

    end: Callable[[], None]

    @classmethod
    def of(cls, number: int, end: Callable[[], None]) -> "StepNumber":
        made = cls(number)
        made.end = end
        return made

    def __call__(self) -> None:
        self.end()
