"""Convolutions of each channel by itself, value and gradients, are those of float64."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nervplay.training.native.depthwise import depthwise
from nervplay.training.native.library import Kernels


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("shape", "taps"), [((2, 64, 9, 16), 7), ((1, 7, 5, 3), 7), ((2, 16, 8, 21), 3), ((1, 20, 12, 9), 5)]
)
def test_value_and_gradients(
    kernels: Kernels,
    assert_close: Callable[[Tensor | None, Tensor | None], None],
    shape: tuple[int, ...],
    taps: int,
    dtype: torch.dtype,
) -> None:
    torch.manual_seed(0)
    channels = shape[1]
    x = torch.randn(shape).to(dtype).requires_grad_()
    weight, bias = (torch.randn(it).requires_grad_() for it in ((channels, 1, taps, taps), (channels,)))
    y = depthwise(kernels, x, weight, bias)
    slope = torch.randn(shape).to(dtype)
    y.backward(slope)
    exact = [it.detach().double().requires_grad_() for it in (x, weight, bias)]
    expected = F.conv2d(*exact, padding=taps // 2, groups=channels)
    expected.backward(slope.double())
    assert y.dtype == dtype
    assert_close(y, expected)
    for ours, theirs in zip((x, weight, bias), exact, strict=True):
        assert_close(ours.grad, theirs.grad)


def test_without_a_bias(kernels: Kernels) -> None:
    x, weight = torch.randn(1, 16, 6, 8), torch.randn(16, 1, 3, 3, requires_grad=True)
    y = depthwise(kernels, x, weight, None)
    torch.testing.assert_close(y, F.conv2d(x, weight, padding=1, groups=16), rtol=1e-4, atol=1e-5)
    y.sum().backward()
    assert weight.grad is not None
