"""Gradients that an optimiser has used, and that are still there when the next ones are added."""

from collections.abc import Collection
from dataclasses import dataclass, field

from gradpath.flow.cleared import cleared_since_the_pass, without_zeros
from gradpath.flow.kinds import Layer
from gradpath.flow.meters import Meter, stamp_of


@dataclass
class Leftovers:
    """Counts for each layer, at the steps of its own optimiser, whether it used the gradients of its step before once more.

    A critic is given gradients while the actor learns. That they are not cleared until its own next turn is no fault.

    stale, fresh: in how many steps they were used again, or had been cleared.
    """

    stale: dict[Meter, int] = field(default_factory=dict)
    fresh: dict[Meter, int] = field(default_factory=dict)
    # What tells the gradients of the latest step from others; layers to whose old gradients the coming pass would add, and
    # those to whose it has.
    left: dict[Meter, tuple[int, int] | None] = field(default_factory=dict)
    waiting: set[Meter] = field(default_factory=set)
    mixed: set[Meter] = field(default_factory=set)

    def before_pass(self) -> None:
        """A pass that adds to gradients is about to begin."""
        self.mixed = {meter for meter in self.mixed if not meter.was_thrown_away()} - {*cleared_since_the_pass(self.mixed)}
        same = [meter for meter, stamp in self.left.items() if stamp and stamp == stamp_of(meter.parameter)]
        self.waiting = set(without_zeros(same))

    def after_pass(self, reached: Collection[Layer | None]) -> None:
        """The pass brought gradients to these layers."""
        self.mixed |= {meter for meter in self.waiting if meter.layer in reached}
        self.waiting = set()

    def after_step(self, meters: Collection[Meter]) -> None:
        """Optimisers have used the gradients of these layers."""
        for meter in meters:
            if meter in self.left:
                counts = self.stale if meter in self.mixed else self.fresh
                counts[meter] = counts.get(meter, 0) + 1
            self.left[meter] = stamp_of(meter.parameter)
        self.mixed -= set(meters)

    def forget(self) -> None:
        """Steps follow that are not seen."""
        self.left, self.waiting, self.mixed = {}, set(), set()

    def most(self) -> int:
        """In how many steps a layer used old gradients again, if it did so in all of its steps."""
        return max((count for meter, count in self.stale.items() if not self.fresh.get(meter)), default=0)
