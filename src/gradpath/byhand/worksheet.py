"""A sheet of named quantities. Each is written down once, after everything that it depends on."""

from dataclasses import dataclass

from gradpath.byhand.expression import Expression, named


@dataclass(frozen=True)
class Line:
    """name = formula = numbers = value."""

    name: str
    formula: str
    numbers: str
    value: float


class Worksheet:
    """Lines in the order in which they were computed: forward from the inputs to the loss, then back.

    Raises:
        ValueError: a name is written down a second time. So nothing is computed twice.
    """

    def __init__(self) -> None:
        self.given: dict[str, float] = {}
        self.lines: list[Line] = []

    def take(self, name: str, value: float) -> Expression:
        """Enters a number that is given."""
        self._check(name)
        self.given[name] = value
        return named(name, value)

    def write(self, name: str, computed: Expression) -> Expression:
        """Writes a line and returns its quantity, which formulas call by its name from here on."""
        self._check(name)
        value = computed.value + 0.0  # -0 becomes 0
        self.lines.append(Line(name, computed.formula, computed.numbers, value))
        return named(name, value)

    def __getitem__(self, name: str) -> float:
        """The value of a line. Raises KeyError: there is no such line."""
        return {line.name: line.value for line in self.lines}[name]

    def _check(self, name: str) -> None:
        if name in self.given or any(line.name == name for line in self.lines):
            raise ValueError(f"{name} has been written down already")
