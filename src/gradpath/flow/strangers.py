"""Modules that are called and are no known part of a model: losses, activations made in `forward`, or parts that are new."""

from weakref import WeakValueDictionary

from torch import nn


class Strangers:
    """Tells which of them are new parts of `model`. They are known by what they are, not by what they are equal to.

    To find out, the model is walked: for a module with parameters each time, for others once in a pass. An activation that
    is put into the model after that is met in the next pass.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.foreign: WeakValueDictionary[int, nn.Module] = WeakValueDictionary()
        # The ids of the model's modules, since the pass began.
        self.own: set[int] | None = None

    def belongs(self, module: nn.Module) -> bool:
        """Whether it is a part of the model now."""
        if self.foreign.get(id(module)) is module:
            return False
        if self.own is not None and next(module.parameters(), None) is None:
            return id(module) in self.own
        self.own = {id(own) for own in self.model.modules()}
        if id(module) not in self.own:
            self.foreign[id(module)] = module
        return id(module) in self.own

    def begin_pass(self) -> None:
        """Another pass begins: the model may have changed."""
        self.own = None
