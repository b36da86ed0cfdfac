"""The chapter's claims in its order, with the study or command that shows each. Nothing heavy is imported here."""

from collections.abc import Sequence
from dataclasses import dataclass

# Exit code of a study with a conclusion that does not hold. A study that could not be run exits with 1.
FAILED = 3


@dataclass(frozen=True)
class Entry:
    """One question, with the claims of the chapter that answer it and what shows whether they are right.

    title: the question.
    claims: the numbers of the claims, such as "C1".
    says: what the chapter claims.
    lists: the study's own keys on the command line; each takes a list of numbers.
    overrides: whether the study also takes the overrides that train.py takes.
    typed: the command that shows the claim; "" if a study does.
    file: the module with the study's function; "" if it has the study's name.
    """

    title: str
    claims: Sequence[str]
    says: str
    lists: Sequence[str] = ()
    overrides: bool = False
    typed: str = ""
    file: str = ""

    @property
    def heading(self) -> str:
        """The question with its claims: `Which learning rate? (C13)`."""
        return f"{self.title} ({', '.join(self.claims)})"


CHAPTER: dict[str, Entry] = {
    "xor": Entry(
        "Why is one layer not enough?",
        ["C1", "C2"],
        "A perceptron y = sigmoid(w x + b) is a linear classifier and cannot solve XOR; one hidden layer can.",
    ),
    "parameters": Entry(
        "How many numbers does it learn?",
        ["C3"],
        "784-128-10: each Linear has W and b, in * out + out numbers; 101,770 in all.",
        typed="python train.py model=two_layer trainer=debug",
    ),
    "by_hand_chain": Entry(
        "What is a gradient made of?",
        ["C4"],
        "One hidden neuron, forward and backward by hand: z1, a1, z2, loss = (z2 - y)^2 / 2, and every derivative.",
        typed="python scripts/by_hand.py chain activation=tanh x=2 y=1",
    ),
    "by_hand_two_layer": Entry(
        "Which factors reach w11?",
        ["C5"],
        "The 2-2-1 ReLU network at (1, 0), target 1: the gradient of w11 is a chain of factors.",
        typed="python scripts/by_hand.py two_layer x=[1,0] y=1",
    ),
    "by_hand_mlp": Entry(
        "Why is backpropagation cheap?",
        ["C6"],
        "It visits the graph in topological order and computes every intermediate gradient once.",
        typed="python scripts/by_hand.py mlp data=xor_noisy model.hidden=[4,3] activation=gelu norm=batch_before",
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
    "optimizers": Entry(
        "Which optimiser?",
        ["C10"],
        "SGD, momentum, RMSProp and Adam: momentum remembers where it was going, RMSProp and Adam scale each weight's step.",
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
    "learning_rate": Entry(
        "Which learning rate?",
        ["C13"],
        "Try 0.1, 0.01, 0.001 and 0.0001 and plot the loss: a rate too high oscillates or ends in NaN, one too low is slow.",
        lists=["rates"],
        overrides=True,
    ),
    "batchnorm_placement": Entry(
        "BatchNorm before or after the activation?",
        ["C14"],
        "Normalise after the linear layer, before the activation.",
    ),
    "batch_size": Entry(
        "Which batch size?",
        ["C15"],
        "Take 32 to 256: larger batches generalise worse, smaller ones are noisy.",
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
        file="depth",
    ),
    "exploding": Entry(
        "Where does the gradient explode?",
        ["C17"],
        "Where the factors are above 1 the gradient grows with every layer on its way to the input.",
        file="depth",
    ),
    "gradient_norms": Entry(
        "Where can all this be watched?",
        ["C18"],
        "Log the gradient's norms: of every layer, at every step, in TensorBoard (make dashboard, tab Gradient Flow).",
        typed="python train.py experiment=vanishing_sigmoid probe=standard data.epochs=1",
    ),
}
STUDIES = {name: entry for name, entry in CHAPTER.items() if not entry.typed}
