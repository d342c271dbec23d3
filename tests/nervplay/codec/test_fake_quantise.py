"""Quantisation inside a fit: values as in the file, gradients as stated, the network as it was."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nervplay.codec.fake_quantise import Grid, quant_noise, straight_through, swapped
from nervplay.codec.quantise import quantise


@pytest.mark.parametrize("share", ["0.9", "0.5"])
@pytest.mark.parametrize("name", ["lin", "dw", "small", "grid"])
def test_golden_quant_noise(golden: Path, name: str, share: str) -> None:
    case = np.load(golden / "train_steps" / "quantnoise.npz")
    part = {key: torch.from_numpy(case[f"{name}|{share}|{key}"]) for key in ("w", "keep", "y", "gy", "gw")}
    weight = part["w"].requires_grad_()
    found = quant_noise(weight, 6, part["keep"])
    found.backward(part["gy"])
    torch.testing.assert_close(found, part["y"], rtol=0, atol=0)
    torch.testing.assert_close(weight.grad, part["gw"], rtol=1e-5, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_straight_through_is_what_the_file_holds(bits: int, seed: int) -> None:
    values = torch.randn(60, 5, generator=torch.Generator().manual_seed(seed))
    stored = quantise(values, bits)
    grid = Grid(torch.from_numpy(np.float32(stored.minimum)), torch.from_numpy(np.float32(stored.scale)), bits)
    np.testing.assert_allclose(straight_through(values, grid).numpy(), stored.dequantise(), rtol=0, atol=1e-6)


def test_the_gradient_passes_inside_the_range_only() -> None:
    values = torch.tensor([-3.0, -1.0, 0.2, 2.9, 3.0, 3.2], requires_grad=True)
    straight_through(values, Grid(torch.tensor(-1.0), torch.tensor(1.0), 2)).backward(torch.arange(1.0, 7.0))
    assert values.grad is not None
    assert values.grad[[0, 3, 4, 5]].tolist() == [0.0] * 4
    assert values.grad[2] == 3.0


def test_a_scale_of_0_is_a_constant() -> None:
    grid = Grid(torch.tensor(0.5), torch.tensor(0.0), 8)
    assert straight_through(torch.randn(5), grid).tolist() == [0.5] * 5


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.register_buffer("offset", torch.ones(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.second(self.first(x)) + self.offset
        return out


def test_swapped_tensors_are_used_and_given_back() -> None:
    model = Shared()
    names, kept = list(model.state_dict()), {n: v.clone() for n, v in model.state_dict().items()}
    weight, offset = torch.eye(3).requires_grad_(), torch.full((3,), 5.0, requires_grad=True)
    x = torch.randn(2, 3)

    def broken() -> None:
        with swapped(model, {"first.weight": weight, "offset": offset, "first.bias": torch.zeros(3)}):
            torch.testing.assert_close(model(x), x + kept["second.bias"] + 5)
            model(x).sum().backward()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        broken()
    assert weight.grad is not None
    assert offset.grad is not None
    assert model.first.weight.grad is None
    assert model.first.weight is model.second.weight
    assert list(model.state_dict()) == names
    for name, value in model.state_dict().items():
        assert torch.equal(value, kept[name])
