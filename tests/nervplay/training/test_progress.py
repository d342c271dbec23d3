"""The record of an epoch: means over the finished steps only, and the first step that went wrong."""

import math

import pytest
import torch

from nervplay.training.progress import EpochRecord


def test_means_are_over_the_finished_steps() -> None:
    record = EpochRecord(4, 2, torch.device("cpu"))
    record.add(0, torch.tensor(1.0, requires_grad=True), torch.tensor([10.0, 20.0]))
    record.add(1, torch.tensor(3.0), torch.tensor([30.0, 40.0]))
    assert record.means(2) == pytest.approx((25.0, 2.0))
    assert record.means(1) == pytest.approx((15.0, 1.0))
    assert not record.losses.requires_grad


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_first_bad_step_is_named(value: float) -> None:
    record = EpochRecord(4, 1, torch.device("cpu"))
    for step, loss in enumerate([1.0, 2.0, value, math.nan]):
        record.add(step, torch.tensor(loss), torch.zeros(1))
    assert record.bad_step(2) is None
    found = record.bad_step(4)
    assert found is not None
    assert found[0] == 2
    assert found[1] == pytest.approx(value, nan_ok=True)
