"""Compares backpropagation by hand with autograd: one neuron, a 2-2-1 network, and any network that overrides describe."""

from collections.abc import Mapping, Sequence

import torch

from gradpath.byhand.beside_autograd import Comparison, chain_by_autograd, compare, two_layer_by_autograd
from gradpath.byhand.chain import Chain, chain
from gradpath.byhand.derivatives import Activation, of_module
from gradpath.byhand.given import Loss
from gradpath.byhand.network import written_out
from gradpath.byhand.training import train
from gradpath.byhand.two_layer import TwoLayer, two_layer
from gradpath.byhand.worksheet import Worksheet
from gradpath.config.composition import compose
from gradpath.config.targets import activation_named
from gradpath.data.batch import Batch
from gradpath.run.build import build_optimizer, build_run
from gradpath.run.seeding import seed_everything

# A network is compared on this many training samples.
SAMPLES = 8


def one_neuron(given: Mapping[str, float], option: str) -> tuple[Worksheet, dict[str, float], Activation]:
    """The worksheet of one hidden neuron, autograd's value for each line, and the activation that `option` names.

    Raises:
        ConfigError: there is no such activation, or nothing is written out for it.
    """
    module, numbers = activation_named(option), Chain(**given)
    activation = of_module(module)
    return chain(numbers, activation), chain_by_autograd(numbers, module), activation


def two_neurons(given: Mapping[str, float], option: str, loss: Loss) -> tuple[Worksheet, dict[str, float], Activation]:
    """The worksheet of the 2-2-1 network, autograd's value for each line, and the activation that `option` names.

    Raises:
        ConfigError: there is no such activation, or nothing is written out for it.
    """
    module, numbers = activation_named(option), TwoLayer(**given)
    activation = of_module(module)
    return two_layer(numbers, activation, loss), two_layer_by_autograd(numbers, module, loss), activation


def mlp(overrides: Sequence[str]) -> tuple[Comparison, float]:
    """Compares the passes of a run's network by hand and by autograd, as drawn, in float64, on eight training samples.

    Returns the comparison, and the largest difference of any parameter from torch's after one step of the optimiser.

    Raises:
        ConfigError: an override is wrong, or nothing is written out for some part of the network.
    """
    config, choices = compose(*overrides)
    seed_everything(config["seed"])
    data, network, objective, _ = build_run(config, choices)
    inputs, targets = data.sample(SAMPLES)
    network = network.double()
    batch = Batch(inputs.double(), targets.double() if targets.is_floating_point() else targets)
    hand = written_out(network)
    found = compare(network, objective, batch)
    optimizer = build_optimizer(config["optimizer"], "64-true")(network.parameters())
    list(train(hand, objective, optimizer, [batch]))
    optimizer.step()
    with torch.no_grad():
        off = [(hand.parameters[name] - p).abs().max().item() for name, p in network.named_parameters()]
    return found, max(off)
