"""`with probe(model)`: measures a training loop while it runs, and judges it when it has ended."""

import inspect
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from gradpath.errors import counted, nearest
from gradpath.finding_names import KINDS
from gradpath.flow.backward import say
from gradpath.flow.kinds import Layer
from gradpath.flow.probe import Probe
from gradpath.flow.record import FILE
from gradpath.verdict.ending import end
from gradpath.verdict.from_record import Layer as Seen
from gradpath.verdict.from_record import diagnose, why_nothing
from gradpath.verdict.gradient_class import TOO_FEW
from gradpath.verdict.starts_at_zero import usual_norm

# Findings that say what the class is.
CLASSES = {"vanishing", "exploding"}
COMPILED = (
    "no step was measured: the model runs in code that was compiled inside the block, which its first step showed; the next "
    "ones are measured, and the first one too if torch.compile is called, and the model run once, before the block"
)
# So many layers' names stand in a probe's lines.
SHOWN = 6


class UnhealthyError(AssertionError):
    """A training shows what `JudgingProbe.check` was asked to refuse, or it cannot be said whether it does."""


class JudgingProbe(Probe):
    """A probe that says what its record means. It follows the gradient along its ways.

    Args:
        ignore: kinds of findings that are not to be made, such as "saturation".
        options: those of `Probe`.

    Raises:
        ValueError: as for `Probe`, or there is no such finding.
    """

    def __init__(self, model: nn.Module, *arguments: Any, ignore: Collection[str] = (), **options: Any) -> None:
        _check_kinds("ignore", ignore)
        check_options(options)
        super().__init__(model, *arguments, **{"follow": True, **options})
        self.ignore = set(ignore)

    def verdict(self) -> dict[str, Any]:
        """The verdict on the record, in the form of `from_record.diagnose`, and of which `process` it is (None: of all)."""
        # A layer may have been called that no gradient has come to yet.
        self.rows.look_at_scales()
        layers = {}
        self.loop.ended = self.number
        for meter in self.watch.meters:
            layer = meter.layer
            entries = sum(parameter.numel() for several in layer.weights.values() for parameter in several)
            lost = self.ways is not None and layer.name not in self.ways.layers and layer in self._expected()
            held = any(id(parameter) in self.loop.held for parameter in layer.parameters)
            scales, usual = self.rows.scales[meter.name], usual_norm([p for of in layer.weights.values() for p in of])
            layers[meter.name] = Seen(layer.sizes.units, *scales, entries, layer.trains, lost, usual, held)
        found = diagnose(self.model, self.record, layers, self.ways, self.loop)
        if found["unmeasured"]:
            found["unmeasured"] = found["undecided"] = self.unmeasured()
        found["findings"] = [finding for finding in found["findings"] if finding["kind"] not in self.ignore]
        return found | {"process": self.share}

    def _expected(self) -> Collection[Layer | None]:
        """The layers from which a gradient was expected; those that were called without one too, if none came at all."""
        measuring = self.watch.measuring
        return measuring.placed if self.ways and self.ways.layers else {*measuring.placed, *measuring.called}

    def __repr__(self) -> str:
        """In a few lines: what was measured, the class, and what was found."""
        found, name = self.verdict(), type(self.model).__name__
        layers = [meter.name for meter in self.watch.meters]
        named = ", ".join(layers[:SHOWN]) + (f" and {len(layers) - SHOWN} more" if len(layers) > SHOWN else "")
        ratio = f", |delta| first / last {found['ratio']:.3g}" if found["ratio"] is not None else ""
        lines = [f"probe of {name}: {counted(len(self.record.steps), 'step')} of {counted(len(layers), 'layer')} ({named})"]
        lines.append(f"class: {found['class']}{ratio}" if found["class"] else f"no class: {found['undecided']}")
        if found["starts_at_zero"]:
            lines.append(f"starts at zero: {', '.join(found['starts_at_zero'])}")
        for finding in found["findings"]:
            remedy = f"; try {finding['remedy']}" if finding["remedy"] else ""
            lines.append(f"{finding['kind']} ({finding['cause']}): {finding['message']}{remedy}")
        return "\n".join(lines if found["findings"] else [*lines, "no findings"])

    def loss(self, value: float | Tensor) -> None:
        """Tells the loss of the coming step, where it is not the number that `backward()` begins from."""
        self.loop.told = value.detach() if isinstance(value, Tensor) else value

    def check(self, *kinds: str) -> None:
        """Raises if the training so far shows one of these findings, or any, if none is named.

        Raises:
            UnhealthyError: it does; or nothing was measured; or vanishing or exploding is among them and there is no class,
                unless the network has too few layers for either.
            ValueError: there is no such finding.
        """
        _check_kinds("check", kinds)
        found = self.verdict()
        shown = [finding for finding in found["findings"] if not kinds or finding["kind"] in kinds]
        if shown:
            remedy = f"; try {shown[0]['remedy']}" if shown[0]["remedy"] else ""
            raise UnhealthyError(f"{shown[0]['kind']}: {shown[0]['message']}{remedy}")
        if found["unmeasured"]:
            raise UnhealthyError(found["unmeasured"])
        asked = {*(kinds or KINDS)} - self.ignore
        # Where there are not two places, there is nothing that could vanish.
        if found["undecided"] not in (None, TOO_FEW) and not asked.isdisjoint(CLASSES):
            raise UnhealthyError(found["undecided"])

    def unmeasured(self) -> str | None:
        """Why no step was measured; None if one was."""
        if not self.record.steps and self.broken:
            return f"no step was measured: {self.broken}"
        if not self.record.steps and self.missed:
            return COMPILED
        return why_nothing(self.model, self.record, self.ways, self.loop)


def _check_kinds(what: str, kinds: Collection[str]) -> None:
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"probe: {what}: {kind} is no finding.{nearest(kind, KINDS)} There are {', '.join(KINDS)}.")


def check_options(options: Collection[str]) -> None:
    """Raises TypeError for an option that the probe does not have."""
    known = [name for name in inspect.signature(Probe.__init__).parameters if name not in ("self", "model")]
    for name in options:
        if name not in known:
            allowed = [*known, "folder", "ignore"]
            raise TypeError(f"probe: {name} is no option.{nearest(name, allowed)} There are {', '.join(allowed)}.")


class probe:  # noqa: N801 - called like a function
    """Measures any training loop inside `with probe(model) as p:`; `p.record` holds what was measured.

    Args:
        folder: the record is kept there in `flow.npz`, which numpy and TensorBoard's Gradient Flow tab can read. If that
            fails at the end of the block, there is a warning.
        options: the arguments of `JudgingProbe`, such as `every=10`, `inputs=batch`, `scaler=scaler`.

    Raises:
        ValueError: as for `JudgingProbe`, or the folder holds a record already.
        TypeError: there is no such option.
        OSError: the folder cannot be made.
    """

    def __init__(self, model: nn.Module, folder: str | Path | None = None, **options: Any) -> None:
        self._entered = False
        self._block = _measured(model, folder, **options)

    def __enter__(self) -> JudgingProbe:
        self._entered = True
        return self._block.__enter__()

    def __exit__(self, *raised: Any) -> bool | None:
        return self._block.__exit__(*raised)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"probe: {name} belongs to p in `with probe(model) as p:`; outside a block nothing is measured")

    def __del__(self) -> None:
        if not self.__dict__.get("_entered", True):
            say("gradpath: nothing was measured: probe(model) measures inside a block, `with probe(model) as p:`")


@contextmanager
def _measured(model: nn.Module, folder: str | Path | None, **options: Any) -> Iterator[JudgingProbe]:
    place = None if folder is None else Path(folder)
    if place is not None and (place / FILE).exists():
        raise ValueError(f"probe: folder={folder}: holds a record already; choose another")
    if place is not None:
        place.mkdir(parents=True, exist_ok=True)
    measuring = JudgingProbe(model, **options)
    measuring.open()
    try:
        yield measuring
    except BaseException:
        end(measuring, place, failed=True)
        raise
    end(measuring, place)
