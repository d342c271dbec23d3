import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from nervplay.blocks.tanh_quantise import QuantisedConv2d, tanh_quantise


def test_known_levels() -> None:
    """3 bits: n = 3, and always towards 0."""
    weight = torch.tensor([-5.0, -0.9, -0.3, 0.0, 0.3, 0.36, 0.9, 5.0])  # tanh: -.9999 -.716 -.291 0 .291 .345 .716 1
    expected = torch.tensor([-2.0, -2.0, 0.0, 0.0, 0.0, 1.0, 2.0, 2.0]) / 3
    assert torch.equal(tanh_quantise(weight, 3), expected)


@given(st.floats(-20, 20, width=32), st.integers(2, 8))
def test_every_weight_falls_on_a_level_next_to_its_tanh(value: float, bits: int) -> None:
    n = 2 ** (bits - 1) - 1
    level = tanh_quantise(torch.tensor([value]), bits).item() * n
    assert level == pytest.approx(round(level), abs=1e-4)
    assert abs(round(level)) <= n
    assert -1e-4 <= n * abs(math.tanh(value)) - abs(level) < 1 + 1e-4
    assert tanh_quantise(torch.tensor([-value]), bits).item() * n == pytest.approx(-level, abs=1e-6)


def test_the_gradient_is_that_of_the_tanh() -> None:
    weight = torch.tensor([-1.0, 0.2, 3.0], requires_grad=True)
    tanh_quantise(weight, 4).sum().backward()
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, 1 - torch.tanh(weight.detach()) ** 2)


def test_32_bits_change_nothing() -> None:
    weight = torch.randn(3)
    assert tanh_quantise(weight, 32) is weight


@torch.no_grad()
def test_a_convolution_quantises_weight_and_bias() -> None:
    torch.manual_seed(0)
    conv = QuantisedConv2d(4, 6, 3, bits=3, padding=1, groups=2)
    x = torch.rand(1, 4, 5, 5)
    expected = F.conv2d(x, tanh_quantise(conv.weight * 1, 3), tanh_quantise(conv.bias * 1, 3), padding=1, groups=2)
    torch.testing.assert_close(conv(x), expected)
    assert set(conv.state_dict()) == {"weight", "bias"}
    plain = QuantisedConv2d(4, 6, 3, bits=32, bias=False)
    torch.testing.assert_close(plain(x), F.conv2d(x, plain.weight))
