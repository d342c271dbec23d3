"""A phase is strict; the published ones say what the official command line says."""

from typing import Any

import pytest
import torch

from nervplay.errors import UnknownNameError, UsageError
from nervplay.training import HINERV_PHASES, Phase
from nervplay.training.phases import fake_quantised


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("rate", 0.0),
        ("rate", float("inf")),
        ("prune", 1.0),
        ("prune", -0.1),
        ("prune", float("nan")),
        ("bits", 1),
        ("bits", 17),
        ("quant_noise", 0.0),
        ("quant_noise", 1.1),
        ("schedule", "hinerv_0.1"),
    ],
)
def test_bad_values_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(UsageError, match=field):
        Phase(**({"epochs": 1} | {field: value}))


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"schedule 'hinerf'.*hinerv"):
        Phase(epochs=1, schedule="hinerf_0_1_0.01")


def test_the_official_phases() -> None:
    prune, quantise = HINERV_PHASES
    assert (prune.epochs, prune.rate, prune.prune, prune.bits) == (60, 1.0, 0.15, None)
    assert (quantise.epochs, quantise.rate, quantise.prune) == (30, 0.1, 0.0)
    assert (quantise.bits, quantise.quant_noise) == (6, 0.9)


def test_weights_are_quantised_as_the_phase_says() -> None:
    torch.manual_seed(0)
    weight = torch.randn(30, 40, requires_grad=True)
    grid = fake_quantised("w", weight, Phase(epochs=1, bits=4))
    assert len(torch.unique(grid[0].detach().round(decimals=4))) <= 16, "a scale for every row"
    grid.sum().backward()
    assert torch.equal(weight.grad, torch.ones(30, 40)), "straight through"
    noisy = fake_quantised("w", weight, Phase(epochs=1, bits=4, quant_noise=0.5))
    kept = (noisy == weight).double().mean().item()
    assert kept == pytest.approx(0.5, abs=0.05)
    assert torch.equal(noisy[noisy != weight], grid[noisy != weight])
