"""The last layer, value and gradients, is that of float64."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nervplay.training.native.head import head
from nervplay.training.native.library import Kernels


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 15, 9, 13), (1, 33, 17, 40), (1, 3, 5, 3), (1, 16, 8, 8)])
def test_value_and_gradients(
    kernels: Kernels,
    assert_close: Callable[[Tensor | None, Tensor | None], None],
    shape: tuple[int, ...],
    dtype: torch.dtype,
) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape).to(dtype).requires_grad_()
    weight, bias = (torch.randn(it).requires_grad_() for it in ((3, shape[1], 3, 3), (3,)))
    y = head(kernels, x, weight, bias)
    slope = torch.randn(y.shape).to(dtype)
    y.backward(slope)
    exact = [it.detach().double().requires_grad_() for it in (x, weight, bias)]
    expected = F.conv2d(*exact, padding=1)
    expected.backward(slope.double())
    assert y.dtype == dtype
    assert_close(y, expected)
    for ours, theirs in zip((x, weight, bias), exact, strict=True):
        assert_close(ours.grad, theirs.grad)
