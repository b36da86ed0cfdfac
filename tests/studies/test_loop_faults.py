"""What the verdict says of other people's faults, and of their healthy twins."""

import pytest

from gradpath.studies.loop_faults import outcome, programs, table

SOME = (
    "zero_grad forgotten",
    "a softmax before the cross entropy",
    "a sigmoid before a loss with logits",
    "detach() in the middle",
    "an optimiser of the head alone",
    "a head replaced after the optimiser was made",
    "a target that is nan",
    "a rate that is far too small",
    "clipping to almost nothing",
)


@pytest.mark.parametrize("name", SOME)
def test_a_fault_is_named_and_its_twin_is_not_accused(name: str) -> None:
    (program,) = [program for program in programs() if program.name == name]
    one = outcome(program)
    assert one.named, one.faulty["findings"]
    assert one.faulty["findings"][0]["kind"] in program.kinds
    assert one.healthy["findings"] == []


@pytest.mark.slow
def test_most_faults_are_found_and_no_twin_is_accused() -> None:
    outcomes = [outcome(program) for program in programs()]
    assert len(outcomes) >= 30
    print("\n".join(table(outcomes)))
    assert sum(one.found for one in outcomes) >= 0.85 * len(outcomes)
    assert sum(one.named for one in outcomes) >= 0.8 * len(outcomes)
    assert not [one.program.name for one in outcomes if one.accused]
    assert max(len(one.faulty["findings"]) for one in outcomes) <= 3
