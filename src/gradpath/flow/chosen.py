"""Modules whose outputs the user has named as the places of the way."""

from collections.abc import Mapping

from torch import nn

from gradpath.flow.places import Place


class Chosen:
    """Gives each call of a chosen module a place. Its second call since the latest pass is named `module#2`.

    Args:
        modules: with their names.
    """

    def __init__(self, modules: Mapping[nn.Module, str]) -> None:
        self.modules = modules
        # By their ids, because a module that is asked for need not be hashable.
        self.names = {id(module): name for module, name in modules.items()}
        self.calls: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self.modules)

    def __contains__(self, module: nn.Module) -> bool:
        return id(module) in self.names

    def place(self, module: nn.Module, number: int) -> Place:
        name = self.names[id(module)]
        self.calls[name] = calls = self.calls.get(name, 0) + 1
        return Place(None, number, name=name if calls == 1 else f"{name}#{calls}")

    def begin_pass(self) -> None:
        self.calls = {}
