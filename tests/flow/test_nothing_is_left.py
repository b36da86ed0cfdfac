"""What belongs to torch and to the user is as it was once the probe is closed, or as long as another one is open."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from gradpath import probe
from probing import steps_of


@pytest.fixture
def stance() -> Iterator[None]:
    yield
    torch.compiler.set_stance("default")


def is_eager() -> bool:
    """Whether a function that is compiled runs as it is written."""
    seen: list[bool] = []
    torch.compile(lambda: seen.append(torch.compiler.is_compiling()), backend="eager")()
    return seen == [False]


@pytest.mark.usefixtures("stance")
def test_of_two_probes_the_first_to_close_leaves_the_other_its_stance() -> None:
    first, second = (torch.compile(nn.Linear(4, 4), backend="eager") for _ in range(2))
    with probe(first):
        with pytest.warns(RuntimeWarning, match="no step was measured"), probe(second):
            assert is_eager()
        assert is_eager()
        first(torch.ones(2, 4)).sum().backward()
        torch.optim.SGD(first.parameters(), lr=0.1).step()
    assert not is_eager()


@pytest.mark.usefixtures("stance")
def test_the_users_own_stance_is_restored() -> None:
    torch.compiler.set_stance("force_eager")
    steps_of(torch.compile(nn.Linear(4, 4), backend="eager"), torch.ones(2, 4))
    assert is_eager()


@pytest.mark.usefixtures("stance")
def test_a_stance_that_the_user_takes_meanwhile_is_kept() -> None:
    model = torch.compile(nn.Linear(4, 4), backend="eager")
    with probe(model):
        torch.compiler.set_stance("force_eager")
        model(torch.ones(2, 4)).sum().backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert is_eager()


def test_parameters_have_no_hooks_left() -> None:
    model = nn.Linear(4, 4)
    mine = nn.Linear(4, 4)
    mine.weight.register_post_accumulate_grad_hook(lambda _: None)
    before = dict(vars(mine.weight)), mine.weight._post_accumulate_grad_hooks
    steps_of(nn.Sequential(model, mine), torch.ones(2, 4))
    assert model.weight._post_accumulate_grad_hooks is None
    assert (dict(vars(mine.weight)), mine.weight._post_accumulate_grad_hooks) == before
