"""The names of activations mean the same as the options of conf/activation/."""

import pytest
import torch

from conftest import ACTIVATIONS
from gradpath import activations
from gradpath.config.targets import activation_named


def test_the_names_are_those_of_the_options() -> None:
    assert sorted(activations.ACTIVATIONS) == ACTIVATIONS


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_name_means_what_the_option_means(name: str) -> None:
    h = torch.linspace(-8, 8, 321)
    assert torch.equal(activations.activation(name)(h), activation_named(name)(h))
