"""Pixel shuffle and activation, value and gradient, are those of float64."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nervplay.training.native.finish import ACTIVATIONS, activated, finished
from nervplay.training.native.library import Kernels

EXACT: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "silu": F.silu}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(
    ("dtype", "half"), [(torch.float32, False), (torch.float32, True), (torch.bfloat16, False), (torch.bfloat16, True)]
)
@pytest.mark.parametrize(
    ("factor", "channels", "height", "width"),
    [(1, 15, 5, 7), (2, 15, 9, 13), (3, 7, 4, 31), (5, 61, 3, 16), (2, 300, 3, 5)],
)
def test_value_and_gradient(
    kernels: Kernels,
    assert_close: Callable[[Tensor | None, Tensor | None], None],
    *,
    name: str,
    dtype: torch.dtype,
    factor: int,
    channels: int,
    height: int,
    width: int,
    half: bool,
) -> None:
    torch.manual_seed(0)
    x = (4 * torch.randn(2, channels * factor**2, height, width)).to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        y = finished(kernels, name, x, factor)
    assert y.dtype == dtype
    slope = torch.randn(y.shape).to(y.dtype)
    y.backward(slope)
    exact = x.detach().double().requires_grad_()
    expected = EXACT[name](F.pixel_shuffle(exact, factor))
    expected.backward(slope.double())
    assert_close(y, expected)
    assert x.grad is not None
    assert exact.grad is not None
    # of a slope in bfloat16 the gradient has that rounding, too
    assert (x.grad.double() - exact.grad).norm() <= (
        5e-3 if half or dtype == torch.bfloat16 else 1e-5
    ) * exact.grad.norm()


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4, 20), (7, 2, 64)])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_alone(
    kernels: Kernels, assert_close: Callable[[Tensor | None, Tensor | None], None], name: str, shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    x = (4 * torch.randn(shape)).requires_grad_()
    exact = x.detach().double().requires_grad_()
    y, expected = activated(kernels, name, x), EXACT[name](exact)
    y.sum().backward()
    expected.sum().backward()
    assert_close(y, expected)
    assert_close(x.grad, exact.grad)


def test_what_is_not_finite_stays_so(kernels: Kernels) -> None:
    x = torch.full((1, 16, 2, 2), float("nan"))
    for name in ACTIVATIONS:
        for dtype in (torch.float32, torch.bfloat16):
            assert finished(kernels, name, x.to(dtype)).isnan().all()
