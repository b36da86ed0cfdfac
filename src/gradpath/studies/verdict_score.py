"""How often the verdict is right, on networks whose true class and causes are measured, not assumed.

The ratio of a network is |delta| in its first hidden layer divided by |delta| in its last. The true class of a configuration
follows from the median ratio over five seeds, in float64. A cause is true if changing it alone makes the network healthy by
the same measurement. The verdict sees one float32 network of another seed.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import isnan
from statistics import median

import torch

from gradpath.flow.profile import LayerFlow
from gradpath.studies.networks import deep, drawn
from gradpath.verdict.anatomy import anatomy
from gradpath.verdict.gradient_class import EXPLODING, VANISHING
from gradpath.verdict.verdict import Verdict, verdict

SEEDS, JUDGED_SEED = range(5), 100
# "none": no gradient arrives even at the last hidden layer.
CLASSES = ("vanishing", "healthy", "exploding", "none")
# What is changed to see whether something is the cause. A normalisation hides the scale of the weights, so that whoever
# removes it has to choose the scale.
CHANGES = {
    "initial scale": {"init": "critical"},
    "activation": {"activation": "relu"},
    "BatchNorm": {"norm": "none", "init": "critical"},
    "LayerNorm": {"norm": "none", "init": "critical"},
}


@dataclass(frozen=True)
class Score:
    """One configuration: its true class and causes, and what the verdict said.

    line: the configuration as overrides.
    truth, causes: the true class, one of CLASSES, and the true causes.
    ratio: the median ratio that the true class follows from.
    said, cause: the verdict's class, and the cause in its first finding; None if there is no finding.
    findings: the number of the verdict's findings.
    """

    line: str
    truth: str
    ratio: float
    causes: frozenset[str]
    said: str
    cause: str | None
    findings: int

    @property
    def class_right(self) -> bool:
        return self.truth == self.said

    @property
    def cause_right(self) -> bool:
        """Whether the first finding names a true cause, or a healthy network has no finding."""
        return self.cause in self.causes if self.causes else self.findings == 0


def suite() -> list[dict[str, str]]:
    """Lists the configurations as overrides: activation x init x norm x depth x width."""
    cases = []
    activations = ("relu", "tanh", "sigmoid", "gelu", "selu", "leaky_relu", "erf", "softplus")
    inits = ("pytorch", "he_normal", "xavier_normal", "lecun_normal", "orthogonal", "critical")
    for activation, init, depth in product(activations, inits, (5, 20, 40)):
        cases.append(deep(activation, init, "none", depth, 100))
    norms = ("batch_before", "batch_after", "layer_before", "layer_after")
    for activation, norm, depth, init in product(("relu", "tanh", "sigmoid"), norms, (10, 40), ("he_normal", "pytorch")):
        cases.append(deep(activation, init, norm, depth, 100))
    for width, depth in product((16, 50, 256, 400), (10, 35)):
        cases.append(deep("relu", "he_normal", "none", depth, width))
        cases.append(deep("tanh", "xavier_normal", "none", depth, width))
    for std, depth in product((0.05, 0.1, 0.2, 0.3), (10, 30)):
        cases.append(deep("tanh", "normal", "none", depth, 100) | {"init.std": str(std)})
        cases.append(deep("relu", "normal", "none", depth, 100) | {"init.std": str(std)})
    for activation, init in product(("relu", "tanh", "sigmoid"), ("zeros", "constant")):
        cases.append(deep(activation, init, "none", 10, 64))
    return cases


def score(case: dict[str, str]) -> Score:
    """Measures the truth of one configuration and gives it to the verdict."""
    truth, ratio = true_class(case)
    profile, said = _judge(case)
    causes = true_causes(case, profile) if truth != "healthy" or profile[0].symmetric else frozenset()
    first = said.findings[0].cause if said.findings else None
    line = " ".join(f"{key}={value}" for key, value in case.items())
    return Score(line, truth, ratio, causes, said.start.kind or "none", first, len(said.findings))


def true_class(case: dict[str, str]) -> tuple[str, float]:
    """The class of the median ratio over five seeds in float64, and that ratio."""
    ratios = []
    for seed in SEEDS:
        delta = [row.delta for row in drawn(case, seed, torch.float64)[1][:-1]]
        ratios.append(delta[0] / delta[-1] if delta[-1] else float("nan"))
    ratio = median(ratios)
    if isnan(ratio):
        return "none", ratio
    return ("vanishing" if ratio < VANISHING else "exploding" if ratio > EXPLODING else "healthy"), ratio


def true_causes(case: dict[str, str], profile: Sequence[LayerFlow]) -> frozenset[str]:
    """The causes whose change alone makes the network healthy, or depth if there are none.

    If the profile shows symmetric units, the cause is symmetry by definition.
    """
    if profile[0].symmetric:
        return frozenset({"symmetry"})
    norm = {"batch": "BatchNorm", "layer": "LayerNorm"}.get(case["norm"].partition("_")[0])
    found = set()
    for cause, change in CHANGES.items():
        if cause in ("BatchNorm", "LayerNorm") and cause != norm:
            continue
        changed = {key: value for key, value in case.items() if key.partition(".")[0] not in change}
        if true_class(changed | change)[0] == "healthy":
            found.add(cause)
    return frozenset(found or {"depth"})


def table(scores: Sequence[Score]) -> Iterator[str]:
    """Yields the confusion matrices of classes and causes in Markdown, each with how often the verdict was right."""
    counts = Counter((s.truth, s.said) for s in scores)
    yield "| measured \\ said | " + " | ".join(CLASSES) + " |\n|---" * 1 + "|---" * len(CLASSES) + "|"
    for truth in CLASSES:
        yield f"| {truth} | " + " | ".join(str(counts[truth, said]) for said in CLASSES) + " |"
    right = sum(s.class_right for s in scores)
    yield f"\nclass right: {right} of {len(scores)} ({right / len(scores):.1%})\n"
    causes = Counter((" or ".join(sorted(s.causes)) or "none", s.cause or "none") for s in scores)
    columns = sorted({said for _, said in causes})
    yield "| measured \\ said | " + " | ".join(columns) + " |\n|---" + "|---" * len(columns) + "|"
    for truth in sorted({truth for truth, _ in causes}):
        yield f"| {truth} | " + " | ".join(str(causes[truth, said] or "") for said in columns) + " |"
    right, most = sum(s.cause_right for s in scores), max(s.findings for s in scores)
    yield f"\ncause right: {right} of {len(scores)} ({right / len(scores):.1%}); at most {most} findings on one network"
    alarms = sum(s.findings for s in scores if not s.causes)
    yield f"findings on the {sum(not s.causes for s in scores)} healthy networks: {alarms}"


def _judge(case: dict[str, str]) -> tuple[list[LayerFlow], Verdict]:
    network, profile, _ = drawn(case, JUDGED_SEED, torch.float32)
    return profile, verdict(profile, anatomy(network))
