"""What counts as a collapse, and which state the fit goes back to."""

import pytest
import torch

from nervplay.training.guard import Guard, SavedEpoch

CPU = torch.device("cpu")


def state(epoch: int) -> SavedEpoch:
    return SavedEpoch(epoch, {})


def seen(guard: Guard, *psnrs: float) -> bool:
    return guard.has_collapsed(torch.arange(len(psnrs)), torch.tensor(psnrs))


def test_a_state_is_good_when_its_whole_epoch_went_well() -> None:
    guard = Guard(1, CPU)
    guard.begin(state(0))
    assert guard.go_back() == state(0), "nothing better is there"
    guard.passed(state(1))
    guard.passed(state(2))
    assert guard.go_back() == state(1), "the state that epoch 1 began with; epoch 2 may have begun with a broken one"
    assert guard.go_back() == state(1)
    assert (guard.rollbacks, guard.rate) == (3, 0.125)


def test_every_frame_is_compared_with_its_own_past() -> None:
    guard = Guard(4, CPU)
    assert not seen(guard, 40.0, 30.0, 20.0, 10.0)
    assert not seen(guard, 35.0, 25.0, 14.0, 5.0)
    assert guard.best.tolist() == [40.0, 30.0, 20.0, 10.0]
    assert seen(guard, 33.0, 23.0, 14.0, 4.0), "6.5 dB worse on average"
    assert guard.best.tolist() == [40.0, 30.0, 20.0, 10.0]


@pytest.mark.parametrize("bad", [float("nan"), float("-inf")])
def test_figures_that_are_none_are_a_collapse(bad: float) -> None:
    assert seen(Guard(2, CPU), 30.0, bad)


def test_the_end_of_the_epoch_decides() -> None:
    guard = Guard(64, CPU)
    assert not seen(guard, *[30.0] * 64)
    assert not seen(guard, *[10.0] * 48, *[30.0] * 16), "it has recovered"
    assert seen(guard, *[30.0] * 48, *[10.0] * 16)


def test_a_new_part_forgets_the_past() -> None:
    guard = Guard(2, CPU)
    guard.begin(state(0))
    guard.passed(state(1))
    seen(guard, 40.0, 40.0)
    guard.begin(state(2))
    assert not seen(guard, 10.0, 10.0)
    assert guard.go_back() == state(2)
