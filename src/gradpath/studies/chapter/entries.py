"""The chapter's studies by name, before any is run: nothing heavy is imported."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """title: the question. claims: of the chapter, whose words `says` are. lists: keys of its own, lists of numbers.
    overrides: it takes what train.py takes."""

    title: str
    claims: Sequence[str]
    says: str
    lists: Sequence[str] = ()
    overrides: bool = False


STUDIES: dict[str, Entry] = {
    "xor": Entry(
        "Why is one layer not enough?",
        ["C1", "C2"],
        "A perceptron y = sigmoid(w x + b) is a linear classifier and cannot solve XOR; one hidden layer can.",
    ),
    "collapse": Entry(
        "Is a deep linear network deeper?",
        ["C7"],
        "Stacked linear layers collapse to one: W2 (W1 x) = (W2 W1) x.",
    ),
    "activations": Entry(
        "What do activations let through?",
        ["C8"],
        "Sigmoid, tanh, ReLU, LeakyReLU and GELU: what each computes, and where its derivative fades or is 0.",
    ),
    "dead_units": Entry(
        "Do units die?",
        ["C9"],
        "ReLU has a dead zone, in which no gradient comes back; LeakyReLU keeps a small one.",
    ),
    "symmetry": Entry(
        "Why random weights?",
        ["C11"],
        "With zero initialisation all neurons learn the same; use Xavier's or He's.",
    ),
    "losses": Entry(
        "Which loss for which task?",
        ["C12"],
        "Regression: MSE; two classes: BCEWithLogits; many classes: CrossEntropy, which has its softmax inside.",
    ),
    "batchnorm_placement": Entry(
        "BatchNorm before or after the activation?",
        ["C14"],
        "Normalise after the linear layer, before the activation.",
    ),
    "challenge": Entry(
        "97 % on MNIST?",
        ["C16"],
        "The challenge: 784-512-256-10, ReLU, Adam(0.001), at least 97 % on the test set.",
    ),
    "vanishing": Entry(
        "Where does the gradient go?",
        ["C17"],
        "In a deep network the gradient is a product of many factors; where they are below 1 it vanishes.",
    ),
    "exploding": Entry(
        "Where does the gradient explode?",
        ["C17"],
        "Where the factors are above 1 the gradient grows with every layer on its way to the input.",
    ),
    "learning_rate": Entry(
        "Which learning rate?",
        ["C13"],
        "Try 0.1, 0.01, 0.001 and 0.0001 and plot the loss: a rate too high oscillates or ends in NaN, one too low is slow.",
        lists=["rates"],
        overrides=True,
    ),
}
