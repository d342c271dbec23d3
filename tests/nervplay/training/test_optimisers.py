"""Adan takes the steps of the official code; what the fit is told about optimisers is true."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nervplay.errors import UnknownNameError
from nervplay.training.optimisers import OPTIMISERS, Adan, get_optimiser


def test_adan_goes_the_official_way(golden: Path) -> None:
    """Twelve steps of least squares, the rate falling by a twentieth of its first value after each."""
    with np.load(golden / "misc_ops" / "ops.npz") as ops:
        start, a, b, path = (torch.from_numpy(ops[f"adan_{name}"]) for name in ("w0", "A", "b", "traj"))
    weights = nn.Parameter(start.clone())
    adan = Adan([weights], lr=3e-3)
    for i, expected in enumerate(path):
        adan.param_groups[0]["lr"] = 3e-3 * (1 - 0.05 * i)
        adan.zero_grad()
        (a @ weights - b).square().mean().backward()
        adan.step()
        torch.testing.assert_close(weights.detach(), expected, atol=5e-7, rtol=0)


def test_adan_leaves_parameters_without_a_gradient_alone() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    adan = Adan([used, unused], lr=0.1)
    used.sum().backward()
    adan.step()
    assert torch.equal(unused, torch.ones(2))
    assert not adan.state[unused]
    torch.testing.assert_close(used.detach(), torch.full((2,), 0.9))


def test_adan_calls_a_closure_with_gradients_on() -> None:
    weights = nn.Parameter(torch.ones(1))
    adan = Adan([weights], lr=0.1)

    def closure() -> float:
        adan.zero_grad()
        loss = weights.square().sum()
        loss.backward()
        return loss.item()

    with torch.no_grad():
        assert adan.step(closure) == 1.0
    assert weights.item() == pytest.approx(0.9)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_kinds_name_their_betas_and_their_state(name: str) -> None:
    kind = get_optimiser(name)
    weights = nn.Parameter(torch.rand(2, 3))
    optimiser = kind.make([weights], lr=0.1, betas=(0.9,) * kind.betas)
    weights.sum().backward()
    optimiser.step()
    state = optimiser.state[weights]
    assert set(state) == set(kind.moments)
    assert state["step"].shape == ()
    assert all(state[moment].shape == weights.shape for moment in kind.moments[1:])


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"optimiser 'adm'.*adam"):
        get_optimiser("adm")
