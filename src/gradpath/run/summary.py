"""What the terminal says at the start and at the end of a run."""

from collections.abc import Mapping, Sequence
from math import inf, sqrt
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from gradpath.columns import tied, width, wrapped
from gradpath.config.checks import risks
from gradpath.data.memory import MemoryDataModule
from gradpath.files import relative
from gradpath.flow.profile import LayerFlow
from gradpath.flow.record import Matrix as Draws
from gradpath.model.network import MLP, count_parameters
from gradpath.run import terminal
from gradpath.theory.outlook import TRAINS, UNCERTAIN, Outlook
from gradpath.theory.prediction import LayerPrediction, Prediction
from gradpath.verdict.at_start import STANDARD_SCALE
from gradpath.verdict.gradient_class import Reading, read
from gradpath.verdict.verdict import Verdict

# Shown in the start panel only when they are not the usual ones.
USUAL = {"loss": "auto", "norm": "none", "probe": "light", "trainer": "auto"}


# A look without training depends on these groups only.
LOOKED_AT = ("data", "model", "activation", "init", "norm", "loss", "experiment")
# Columns of the table over the layers; phi is the activation. "seeds" and "band" are factors: how far |delta| / last
# varies in networks of other seeds, and in 95 of 100 networks according to theory.
HEADER = ("layer", "|delta|", "/ last", "seeds", "theory", "band", "|dW|", "std phi", "sat.", "dead")
# A narrow terminal leaves these out first.
LEAST = ("seeds", "band", "sat.", "dead", "std phi")
# A grid's columns and their widths. "is" says whether the measurement is inside or outside of what theory allows.
LOOK = {"gradient": 9, "measured": 8, "theory": 7, "is": 7, "training": 23}


# The name of a network for which nothing was typed.
DEFAULT = "the default network"


def show_start(
    seed: int, choices: Mapping[str, str], network: MLP, batch_size: int, folder: Path, trainer: pl.Trainer
) -> None:
    """Shows what was chosen, the device, and the size of the network and of the training."""
    shown = [tied(f"{group}={option}") for group, option in choices.items() if USUAL.get(group) != option]
    epochs = "1 epoch" if trainer.max_epochs == 1 else f"{trainer.max_epochs} epochs"
    processes = f", {trainer.world_size} processes" if trainer.world_size > 1 else ""
    terminal.show(
        f"gradpath, seed {seed}",
        [
            ("choices", "  ".join(shown)),
            ("device", f"{trainer.strategy.root_device}{processes}"),
            ("parameters", f"{count_parameters(network):,}"),
            ("training", f"{epochs}, batches of {batch_size}"),
            ("logs", tied(relative(folder))),
        ],
    )
    terminal.show_network(network.summary(), count_parameters(network))


def show_look(seed: int, choices: Mapping[str, str], parameters: int, folder: Path) -> None:
    """Shows what was chosen for a look without training."""
    shown = [f"{group}={option}" for group, option in choices.items() if group in LOOKED_AT and USUAL.get(group) != option]
    terminal.show(
        f"gradpath at step 0, seed {seed}",
        [("choices", "  ".join(shown)), ("parameters", f"{parameters:,}"), ("logs", tied(relative(folder)))],
    )


def show_look_line(
    place: int,
    verdict: Verdict,
    theory: Prediction | None,
    ahead: Outlook | None,
    overrides: Sequence[str],
    swept: Sequence[str] = (),
) -> None:
    """Prints one line for one look among many. The first gets a heading.

    The line gives the class, |delta| first / last hidden layer as measured and as predicted, whether the rates agree,
    whether the network trains according to theory (past the limit also depth and limit), and what was typed; in a terminal
    only what varies of it, and as many columns as fit.

    Args:
        swept: the longest `key=value` of each key that varies from network to network.
    """
    reading, deviation = verdict.start, verdict.deviation
    cells = [reading.kind or "shallow", _shown(reading.ratio), _shown(theory.layers[0].delta if theory else None)]
    cells.append("" if deviation is None else "outside" if deviation.outside else "inside")
    past = "" if ahead is None or ahead.says == TRAINS else f", {ahead.depth} > {_limit(ahead)}"
    cells.append("" if ahead is None else ahead.says + past)
    columns, varying = width(), {text.partition("=")[0] for text in swept}
    if columns is None:
        kept, of, shown = [*LOOK], "|delta| first / last hidden layer of", overrides
    else:
        own = [text for text in overrides if text.partition("=")[0] in varying]
        kept, of, shown = _grid(columns, " ".join(swept or overrides) or DEFAULT), "network", own or overrides
    if place == 0:
        if columns is not None:
            _show_what_is_common([text for text in overrides if own and text not in own], kept)
        _print_look(dict(zip(LOOK, LOOK, strict=True)), kept, of)
    _print_look(dict(zip(LOOK, cells, strict=True)), kept, " ".join(shown) or DEFAULT)


def _grid(columns: int, longest: str) -> list[str]:
    """The columns of LOOK that fit beside the longest name of a network."""
    kept, leaving = [*LOOK], ["is", "training", "theory", "measured"]
    while leaving and sum(LOOK[name] + 1 for name in kept) + max(len(longest), len("network")) > columns:
        kept.remove(leaving.pop(0))
    return kept


def _show_what_is_common(common: Sequence[str], kept: Sequence[str]) -> None:
    sentence = "measured and theory: |delta| first / last hidden layer"
    sentence += f"; every network: {' '.join(common)}" if common else ""
    left_out = [name for name in LOOK if name not in kept]
    print(*wrapped(sentence), *terminal.left_out(left_out), sep="\n", flush=True)


def _print_look(cells: Mapping[str, str], kept: Sequence[str], network: str) -> None:
    first = "".join(f"{cells[name]:<{LOOK[name]}} " for name in kept)
    print(*wrapped(network, first, " " * len(first)), sep="\n", flush=True)


def _shown(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2g}"


def show_result(result: Mapping[str, Any], folder: Path) -> None:
    """Shows the metrics, and where to look next."""
    metrics = result["metrics"]
    # A small loss keeps its digits.
    formats = ((name, value, ".4f" if value == 0 or abs(value) >= 0.001 else ".3g") for name, value in metrics.items())
    rows = [(name, format(value, shown)) for name, value, shown in formats if isinstance(value, float)]
    if "best_epoch" in metrics:
        judged = "highest val/accuracy" if "val/accuracy" in metrics else "lowest val/loss"
        rows.append(("best epoch", f"{metrics['best_epoch']} of {metrics['last_epoch']}, {judged}"))
    if result["error"]:
        rows.append((result["status"], result["error"]))
    rows += [
        ("time", f"{result['durations'].get('fit', 0):.1f} s of training"),
        ("logs", tied(relative(folder))),
        ("TensorBoard", tied(f"tensorboard --logdir {relative(folder)}")),
    ]
    terminal.show("result", rows)


def show_warnings(
    config: Mapping[str, Any], choices: Mapping[str, str], data: MemoryDataModule, ahead: Outlook | None
) -> None:
    """Warns of absurd numbers in the data, of risky choices, and of a network past the depth that theory expects to train.

    This last warning has three lines: what theory says, why, and what to do. With it, `risks` says nothing of the initial
    scale: a second remedy would only confuse. Theory speaks of inputs of ordinary length, so absurd ones come alone.
    """
    odd = data.oddities()
    past = ahead is not None and ahead.says != TRAINS and not odd
    for sentence in [*odd, *risks(config, choices, data.task, scale=not past)]:
        terminal.warn(sentence)
    if ahead is None or not past:
        return
    limit, scales = _limit(ahead), f"{ahead.scales:g}"
    trusted = f"with these initial weights theory trusts at most {limit}"
    if ahead.says == UNCERTAIN:
        said = f"{ahead.depth} hidden layers may train slowly or not at all: {trusted}"
    else:
        said = f"{ahead.depth} hidden layers will not train: {trusted}, and no network tried beyond twice its limit learnt"
    scale = f"{tied(f'sigma_w^2 = {ahead.sigma_w2:.3g}')}, {tied(f'sigma_b^2 = {ahead.sigma_b2:.2g}')}"
    where = f"{choices['activation']} at {scale}"
    if ahead.xi_c is not None:
        forgets = f"the layers forget which input they were given, by a factor e every {ahead.xi_c:.2g} layers"
        why = f"{forgets}; training reaches through about {scales} such factors"
    else:
        why = f"the squared gradient changes by a factor e^{scales} over {limit} layers; training bears about that much"
    terminal.warn(f"{said}.\n  why: with {where} {why}.\n  {tied('remedy: ')}{_deeper(ahead, choices)}")


def _deeper(ahead: Outlook, choices: Mapping[str, str]) -> str:
    """What lets a network of this depth train, or else the depth that these weights allow."""
    if choices["activation"] == "relu" and (ahead.critical is None or choices["init"] == "critical"):
        return f"at most {_limit(ahead)} hidden layers"
    if choices["init"] == "critical" or ahead.critical is None or ahead.critical > STANDARD_SCALE:
        return "activation=relu init=he_normal"
    return f"init=critical, {tied(f'sigma_w^2 = {ahead.critical:.2f}')}"


def _limit(ahead: Outlook) -> int:
    """The limit in whole layers, at least 1."""
    return max(int(ahead.limit), 1)


def show_verdict(
    when: str,
    verdict: Verdict,
    profile: Sequence[LayerFlow] | None,
    theory: Prediction | None = None,
    draws: Draws | None = None,
) -> None:
    """Shows how the gradient travels through depth: a table over the layers, the verdict, and what to do about it.

    Args:
        when: "start" or "end"; the reading at that time is shown.
        profile: the table's rows; None leaves the table out.
        theory: what a wide network would do, one row per hidden layer.
        draws: |delta| in networks of several seeds, relative to the last hidden layer, (draws, hidden layers).
    """
    reading = verdict.start if when == "start" else verdict.end
    predicted = theory.layers if theory else []
    if profile:
        cells = []
        for k, row in enumerate(profile):
            spread = _factor(draws[:, k].min(), draws[:, k].max()) if draws is not None and k < draws.shape[1] else ""
            cells.append(_cells(row, spread, predicted[k] if k < len(predicted) else None, profile))
        shown = [k for k in range(len(HEADER)) if any(row[k] for row in cells)]
        table = [tuple(row[k] for k in shown) for row in terminal.shortened(cells, len(HEADER))]
        terminal.show_table(tuple(HEADER[k] for k in shown), table, LEAST)
    rows = [(f"gradient at the {when}", _sentence(reading))] if reading else []
    if len(predicted) > 1:
        rows.append(("theory of a wide network", _sentence(read([row.delta for row in predicted]))))
    if when == "start" and verdict.deviation:
        rows.append(("measurement and theory", str(verdict.deviation)))
    for finding in verdict.findings:
        where = f" in {finding.layer}" if finding.layer else ""
        rows.append((finding.kind.replace("_", " ") + where, finding.message))
        rows.append(("  cause, remedy", f"{finding.cause}: try {finding.remedy.overrides}"))
    if rows:
        terminal.show("verdict", rows)


def _sentence(reading: Reading) -> str:
    if reading.kind is None:
        return f"not classified: {reading.undecided}"
    if reading.ratio is None:
        return f"{reading.kind}, not finite"
    pace = f", {reading.rate_per_layer:.3g} x per layer" if reading.rate_per_layer else ""
    return f"{reading.kind}, |delta| first / last hidden layer = {reading.ratio:.3g}{pace}"


def _cells(row: LayerFlow, spread: str, predicted: LayerPrediction | None, profile: Sequence[LayerFlow]) -> tuple[str, ...]:
    last = profile[-2].delta if len(profile) > 1 else 0
    deviation = None if row.activation_variance is None else sqrt(row.activation_variance)
    return (
        row.layer,
        f"{row.delta:.3g}",
        f"{row.delta / last:.3g}" if last and row is not profile[-1] else "",
        spread,
        f"{predicted.delta:.3g}" if predicted else "",
        _factor(predicted.low, predicted.high) if predicted else "",
        f"{row.weight_grad_norm:.3g}",
        "" if deviation is None else f"{deviation:.3g}",
        *("" if value is None else f"{value:.0%}" for value in (row.saturated, row.dead)),
    )


def _factor(low: float | None, high: float | None) -> str:
    """Half the range from low to high, as a factor: `x1.25` reaches from the geometric middle to either end."""
    if low is None or high is None or not 0 < low < high < inf:
        return ""
    factor = sqrt(high / low)
    return f"x{factor:.2f}" if factor < 9.995 else f"x{factor:.2g}"
