"""Convolutions whose stride is their kernel, value and gradients, are those of float64."""

import pytest
import torch
from torch.nn import functional as F

from nervplay.training.native.matrix import patched


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(("shape", "outputs", "side"), [((2, 3, 20, 15), 8, 5), ((1, 7, 6, 4), 5, 2)])
def test_value_and_gradients(*, shape: tuple[int, ...], outputs: int, side: int, half: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape).requires_grad_()
    weight, bias = (torch.randn(it).requires_grad_() for it in ((outputs, shape[1], side, side), (outputs,)))
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        y = patched(x, weight, bias)
    assert y.dtype == (torch.bfloat16 if half else torch.float32)
    slope = torch.randn(y.shape).to(y.dtype)
    y.backward(slope)
    exact = [it.detach().double().requires_grad_() for it in (x, weight, bias)]
    expected = F.conv2d(*exact, stride=side)
    expected.backward(slope.double())
    for ours, theirs in ((y, expected), *zip((x.grad, weight.grad, bias.grad), (it.grad for it in exact), strict=True)):
        assert ours.shape == theirs.shape
        assert (ours.double() - theirs).norm() <= (1e-2 if half else 1e-5) * theirs.norm()


def test_without_a_bias_and_what_is_not_asked_for() -> None:
    x, weight = torch.randn(1, 3, 8, 8), torch.randn(4, 3, 4, 4, requires_grad=True)
    y = patched(x, weight, None)
    torch.testing.assert_close(y, F.conv2d(x, weight, stride=4), rtol=1e-4, atol=1e-5)
    y.sum().backward()
    assert x.grad is None
    assert weight.grad is not None
