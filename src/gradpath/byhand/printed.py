"""Prints backpropagation by hand, within the columns of the terminal."""

from collections.abc import Mapping, Sequence
from math import inf

from gradpath.byhand.beside_autograd import Comparison, Row
from gradpath.byhand.derivatives import Activation
from gradpath.byhand.worksheet import Worksheet
from gradpath.columns import tied, width, wrapped

# The widths of a network's columns, after an indent of two. A narrow terminal leaves out the last ones.
COLUMNS = {"": 32, "|by hand|": 13, "|autograd|": 13, "difference": 12}


def worksheet(sheet: Worksheet, expected: Mapping[str, float], activation: Activation) -> list[str]:
    """Writes each line as name = formula = the numbers put in, and below it the value beside autograd's."""
    given = "  ".join(f"{name}={value:g}" for name, value in sheet.given.items())
    lines = ["given", *wrapped(given, "  ", "  ")]
    lines += _defined(activation)
    lines += ["", "forward"]
    start = next(line.name for line in sheet.lines if line.name.startswith("dL/"))
    for line in sheet.lines:
        if line.name == start:
            lines += ["", "backward"]
        theirs = expected[line.name] + 0.0  # -0 becomes 0
        lines += _wrapped(f"{line.name} = {line.formula} = {line.numbers}")
        numbers = f"= {line.value:<15.8g}", f"autograd {theirs:<15.8g}", f"difference {abs(line.value - theirs):.1g}"
        lines += [part.rstrip() for part in wrapped(" ".join(map(tied, numbers)), "    ", "      ")]
    largest = max(abs(line.value - expected[line.name]) for line in sheet.lines)
    return [*lines, "", *wrapped(f"{len(sheet.lines)} lines, each computed once; largest difference {largest:.1g}")]


def network(found: Comparison, step: float) -> list[str]:
    """Lists every intermediate and parameter of a network with its norm by hand and by autograd.

    Args:
        step: the largest difference of a parameter after one step of the optimiser.
    """
    ours, theirs = found.losses
    lines = [line for activation in found.activations for line in _defined(activation)]
    lines += [
        *([""] if lines else []),
        _columns("forward", [*COLUMNS][1:], ""),
        *_rows(found.values),
    ]
    lines.append(_numbers("L", ours, theirs, abs(ours - theirs)))
    lines += wrapped(f"= {found.loss}", "    ", "      ")
    lines += ["", *wrapped("backward, in this order; B: samples, N: outputs of all samples"), *_rows(found.gradients)]
    lines += ["", "dL/dparameter", *_rows(found.parameters)]
    most = max(found.computed.values())
    times = "once" if most == 1 else f"{most} times at most"
    lines += [
        "",
        *wrapped(f"backpropagation computed {found.entries:,} numbers on its way to the inputs, each {times};"),
        *wrapped(f"expanding the chain rule path by path would walk {_large(found.paths)} paths to the loss."),
        *wrapped(f"largest difference {found.largest:.1g}; after one step of the optimiser {step:.1g}"),
    ]
    return lines


def _defined(activation: Activation) -> list[str]:
    formulas = {"(h) ": activation.formula, "'(h)": activation.slope_formula}
    return [line for of, formula in formulas.items() for line in _wrapped(f"{activation.name}{of} = {formula}")]


def _rows(rows: Sequence[Row]) -> list[str]:
    lines = []
    for row in rows:
        shape = "x".join(map(str, row.shape))
        title = f"{row.name} ({shape})"
        lines.append(_numbers(title, row.hand, row.autograd, row.difference))
        lines += wrapped(f"= {row.formula}", "    ", "      ")
    return lines


def _numbers(title: str, hand: float, autograd: float, difference: float) -> str:
    return _columns(title, [f"{hand:.6g}", f"{autograd:.6g}", f"{difference:.1g}"])


def _columns(title: str, cells: Sequence[str], indent: str = "  ") -> str:
    """A line of as many columns as fit."""
    first, *others = COLUMNS.values()
    line = f"{indent}{title}".ljust(first + 2)
    for cell, wide in zip(cells, others, strict=True):
        if len(line) + wide <= (width() or inf):
            line += cell.rjust(wide)
    return line


def _wrapped(text: str) -> list[str]:
    return wrapped(text, "  ", "    ")


def _large(count: int) -> str:
    return f"{count:,}" if count < 10**9 else f"{float(count):.2g}" if count < 10**300 else f"10^{len(str(count)) - 1}"
