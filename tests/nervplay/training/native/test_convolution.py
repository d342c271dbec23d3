"""Convolutions by Winograd's method, value and gradients, are those of float64."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nervplay.training.native.convolution import convolved
from nervplay.training.native.library import Kernels

Check = Callable[[Tensor | None, Tensor | None], None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("shape", "outputs", "taps"),
    [((2, 5, 13, 9), 7, 3), ((1, 30, 45, 40), 60, 3), ((1, 17, 20, 31), 33, 5), ((1, 64, 30, 30), 100, 5)],
)
def test_value_and_gradients(
    kernels: Kernels, assert_close: Check, *, shape: tuple[int, ...], outputs: int, taps: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape).to(dtype).requires_grad_()
    weight, bias = (torch.randn(it).requires_grad_() for it in ((outputs, shape[1], taps, taps), (outputs,)))
    y = convolved(kernels, x, weight, bias)
    slope = torch.randn(y.shape)
    y.backward(slope)
    exact = [it.detach().double().requires_grad_() for it in (x, weight, bias)]
    expected = F.conv2d(*exact, padding=taps // 2)
    expected.backward(slope.double())
    assert y.dtype == torch.float32
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert_close(y, expected)
    for ours, theirs in zip((x, weight, bias), exact, strict=True):
        assert_close(ours.grad, theirs.grad)


def test_what_is_not_asked_for_is_not_computed(kernels: Kernels) -> None:
    x, weight = torch.randn(1, 4, 20, 20), torch.randn(4, 4, 3, 3, requires_grad=True)
    convolved(kernels, x, weight, None).sum().backward()
    assert x.grad is None
    assert weight.grad is not None


def test_threads_change_no_bit(kernels: Kernels) -> None:
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            torch.manual_seed(0)
            x, weight = torch.randn(2, 20, 40, 50), torch.randn(50, 20, 3, 3)
            x.requires_grad_(), weight.requires_grad_()
            y = convolved(kernels, x, weight, None)
            y.square().sum().backward()
            results.append((y, x.grad, weight.grad))
    finally:
        torch.set_num_threads(before)
    for one, three in zip(*results, strict=True):
        assert torch.equal(one, three)  # type: ignore[arg-type]
