"""A block as one function, value and gradients, is that of float64."""

import pytest
import torch
from torch.nn import functional as F

from nervplay.training.native.block import block
from nervplay.training.native.library import Kernels


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(
    ("shape", "outputs", "taps", "factor"),
    [
        ((2, 5, 13, 9), 7, 3, 1),
        ((1, 30, 20, 16), 60, 3, 2),
        ((1, 17, 9, 14), 36, 5, 3),
        ((2, 20, 7, 9), 275, 1, 5),
        ((1, 7, 3, 4), 33, 1, 1),
    ],
)
def test_value_and_gradients(
    kernels: Kernels, *, shape: tuple[int, ...], outputs: int, taps: int, factor: int, half: bool, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape).to(dtype).requires_grad_()
    weight, bias = (torch.randn(it).requires_grad_() for it in ((outputs, shape[1], taps, taps), (outputs,)))
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        y = block(kernels, "gelu", x, weight, bias, factor)
    slope = torch.randn(y.shape)
    y.backward(slope)
    exact = [it.detach().double().requires_grad_() for it in (x, weight, bias)]
    expected = F.gelu(F.pixel_shuffle(F.conv2d(*exact, padding=taps // 2), factor))
    expected.backward(slope.double())
    assert y.dtype == torch.float32
    assert y.is_contiguous(memory_format=torch.channels_last)
    for ours, theirs in ((y, expected), *zip((x.grad, weight.grad, bias.grad), (it.grad for it in exact), strict=True)):
        assert ours.shape == theirs.shape
        # the error of a 5x5 value goes through the slope, too; under autocast slopes and products of 1x1 are bfloat16
        bound = 1e-2 if half else 5e-3 if ours.dtype == torch.bfloat16 else 3e-5
        assert (ours.double() - theirs).norm() <= bound * theirs.norm()


def test_without_a_bias_and_what_is_not_asked_for(kernels: Kernels) -> None:
    for taps in (1, 3):
        x, weight = torch.randn(1, 6, 9, 8), torch.randn(12, 6, taps, taps, requires_grad=True)
        y = block(kernels, "silu", x, weight, None, 2)
        torch.testing.assert_close(
            y, F.silu(F.pixel_shuffle(F.conv2d(x, weight, padding=taps // 2), 2)), rtol=1e-4, atol=1e-4
        )
        y.sum().backward()
        assert x.grad is None
        assert weight.grad is not None


def test_threads_change_no_bit(kernels: Kernels) -> None:
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            torch.manual_seed(0)
            x, weight = torch.randn(2, 20, 40, 50), torch.randn(52, 20, 3, 3)
            x.requires_grad_(), weight.requires_grad_()
            y = block(kernels, "gelu", x, weight, None, 2)
            y.square().sum().backward()
            results.append((y, x.grad, weight.grad))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, three) for one, three in zip(*results, strict=True))
