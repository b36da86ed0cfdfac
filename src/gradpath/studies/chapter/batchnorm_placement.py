"""BatchNorm before the activation, after it, or none (C14): at initialisation, after one step, after training."""

import numpy as np
from matplotlib.figure import Figure

from gradpath.config.targets import activation_named
from gradpath.data.batch import Batch
from gradpath.flow.profile import measure
from gradpath.model.network import MLP
from gradpath.model.objective import Objective
from gradpath.studies.chapter.depth import Profile, accuracies, epoch_of_sgd
from gradpath.studies.chapter.full_batch import train
from gradpath.studies.chapter.study import Conclusion, Study, Table, difference, seeded
from gradpath.studies.papers.networks import built, growth, square
from gradpath.studies.pictures.style import COLOURS, TICK, dress, new_figure
from gradpath.theory.batch_norm import batch_norm_rate

NORMS = {"none": "none", "before": "batch_before", "after": "batch_after"}
DEPTH, SAMPLES = 20, 256
RELU = ("activation=relu", "init=he_normal")
SMALL = (*RELU, "model=deep", f"model.depth={DEPTH}", "model.width=64", "optimizer=adam", "optimizer.lr=0.003")


def batchnorm_placement(quick: bool = False) -> Study:
    """Compares the gradient's profile at three moments, its growth with that of Yang 2019, and the test accuracies."""
    steps, seeds = 30 if quick else 100, 1 if quick else 3
    moments = {"at the start": 0, "after one step": 1, f"after {steps} steps": steps}
    profiles: dict[str, list[Profile]] = {}
    for name, norm in NORMS.items():
        typed = (*SMALL, f"norm={norm}")
        data, _, objective, _ = built(0, *typed)
        batch = data.sample(SAMPLES)
        films = [train(seed, typed, steps, SAMPLES, tuple(moments.values())).films for seed in range(seeds)]
        logs = [[np.log(profile(film[at], objective, batch)) for film in films] for at in moments.values()]
        profiles[name] = [np.exp(np.mean(many, axis=0)) for many in logs]
    rates = {name: growth(seeds, *square(12, 256, *RELU, f"norm={norm}"), skip=2, batch=512) for name, norm in NORMS.items()}
    yang = batch_norm_rate(activation_named("relu"), "before", 2.0)
    trained = accuracies(
        "batchnorm_placement", {name: (*RELU, f"norm={norm}") for name, norm in NORMS.items()}, DEPTH, quick
    )
    gained = difference(trained["before"].tests, trained["after"].tests)
    over_none = difference(trained["before"].tests, trained["none"].tests)
    ratios = {name: [float(one[0]) for one in many] for name, many in profiles.items()}
    return Study(
        setting=f"{DEPTH} ReLU layers of 64, He, {SAMPLES} digits, {steps} steps of Adam on all, {seeded(seeds)}; ratio: "
        "|delta| first / last hidden layer; growth: of |delta|^2 per layer, 12 x 256 on 512 random inputs; accuracy: width "
        f"128, {epoch_of_sgd(quick)}.",
        table=Table(
            ("BatchNorm", "ratio: start", "1 step", "end", "growth", "test accuracy", "at rate"),
            [(name, *(f"{r:.3g}" for r in ratios[name]), f"{rates[name]:.3f}", *trained[name].shown) for name in NORMS],
        ),
        conclusions=[
            Conclusion(
                "at the start |delta|^2 grows by pi / (pi - 1) per layer, with BatchNorm before or after ReLU (Yang 2019)",
                f"before {rates['before']:.3f}, after {rates['after']:.3f}, theory {yang:.3f}; without {rates['none']:.3f}",
                all(abs(rates[name] - yang) < 0.05 for name in ("before", "after")) and abs(rates["none"] - 1) < 0.05,
            ),
            Conclusion(
                "training undoes the explosion behind BatchNorm: by its end less than half is left",
                ", ".join(f"{name} {' to '.join(f'{r:.3g}' for r in ratios[name])}" for name in ("before", "after")),
                all(ratios[name][2] < ratios[name][0] / 2 for name in ("before", "after")),
            ),
            Conclusion(
                "before the activation, as recommended, learns more than after it",
                f"test accuracy, each at its best rate: before - after {gained}, before - none {over_none}",
                gained.above(),
                supports=f"before tests {gained} better than after",
                unshown=f"before tests {gained} beside after",
            ),
        ],
        figures={"batchnorm_placement": draw(list(moments), profiles)},
        captions={"batchnorm_placement": "The gradient's profile over depth at three moments, by BatchNorm's place."},
    )


def profile(network: MLP, objective: Objective, batch: Batch) -> Profile:
    """|delta| of each hidden layer divided by that of the last hidden layer, (L,). `network` is in float64."""
    deltas = np.array([row.delta for row in measure(network, objective, Batch(batch.inputs.double(), batch.targets))[:-1]])
    relative: Profile = deltas / deltas[-1]
    return relative


def draw(moments: list[str], profiles: dict[str, list[Profile]]) -> Figure:
    figure = new_figure("BatchNorm before or after the activation?", 11.0, 4.8)
    panels = figure.subplots(1, len(moments), sharey=True)
    for k, (axes, moment) in enumerate(zip(panels, moments, strict=True)):
        for (name, many), colour in zip(profiles.items(), COLOURS, strict=False):
            axes.plot(np.arange(1, DEPTH + 1), many[k], color=colour, linewidth=2.5, label=name)
        dress(axes, "hidden layer", "|delta| / last hidden layer" if k == 0 else "", moment, yscale="log")
    figure.legend(*panels[0].get_legend_handles_labels(), fontsize=TICK, loc="outside lower center", ncols=3, frameon=False)
    return figure
