"""Backpropagation by hand: every number with its formula and autograd's value.

    python scripts/by_hand.py                      2-2-1 at (1, 0), target 1: the gradient of w11, factor by factor
    python scripts/by_hand.py x=[1,0] y=1 weights=[0.5,-0.2,0.3,0.8,0.6,-0.7] loss=bce
    python scripts/by_hand.py chain activation=tanh x=2 y=1       one hidden neuron
    python scripts/by_hand.py mlp data=xor_noisy model.hidden=[4,3] activation=gelu norm=batch_before optimizer=adam

chain and two_layer take the keys x, y, weights (drawn if left out), seed and
activation; two_layer also takes loss=mse or bce. The order of the weights is
w1,b1,w2,b2 for chain and w11,w12,w21,w22,b1,b2,v1,v2,c for two_layer. Biases
may be left out. mlp takes what train.py takes. It compares the gradients in
float64 on eight training samples, and one step of the optimiser.
"""

from gradpath.byhand.given import Typed, read
from gradpath.config.arguments import one_line_ends


def show(typed: Typed) -> list[str]:
    """The lines to print."""
    # Heavy imports wait until the command line has been checked.
    from gradpath.byhand import printed
    from gradpath.studies.backpropagation import mlp, one_neuron, two_neurons

    if typed.network == "mlp":
        return printed.network(*mlp(typed.overrides))
    if typed.network == "chain":
        return printed.worksheet(*one_neuron(typed.given, typed.activation))
    return printed.worksheet(*two_neurons(typed.given, typed.activation, typed.loss))


if __name__ == "__main__":
    with one_line_ends("nothing was written."):
        print("\n".join(show(read(__doc__))))
