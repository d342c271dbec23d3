"""The map to a picture and the errors of frames, values and gradients, are those of float64."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nervplay.blocks.activation import OutputMap, picture
from nervplay.metrics import float_psnr
from nervplay.training.native.frame import Measure, frame_psnr, mapped, mean_error, takes
from nervplay.training.native.layers import NativeLayers
from nervplay.training.native.library import Kernels

EXACT: dict[Measure, Callable[[Tensor, Tensor], Tensor]] = {"square": F.mse_loss, "absolute": F.l1_loss}
SHAPES = [(1, 3, 5, 7), (2, 3, 33, 45), (3, 3, 64, 128)]


def laid(x: Tensor, *, last: bool) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if last else x


@pytest.mark.parametrize("output", ["tanh", "sigmoid"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_picture(
    kernels: Kernels,
    assert_close: Callable[[Tensor | None, Tensor | None], None],
    *,
    output: OutputMap,
    dtype: torch.dtype,
    last: bool,
    shape: tuple[int, ...],
) -> None:
    torch.manual_seed(0)
    x = laid(3 * torch.randn(shape), last=last).to(dtype).requires_grad_()
    with NativeLayers(kernels):
        y = picture(x, output)
    assert y.dtype == torch.float32
    assert "_Mapped" in type(y.grad_fn).__name__
    slope = torch.randn(shape)  # not laid as x, where its channels are last
    y.backward(slope)
    exact = x.detach().double().requires_grad_()
    expected = picture(exact, output)
    expected.backward(slope.double())
    assert_close(y, expected)
    assert_close(x.grad, exact.grad)


def test_picture_keeps_what_is_not_finite(kernels: Kernels) -> None:
    ends = torch.tensor([-torch.inf, -200.0, 200.0, torch.inf, torch.nan]).view(1, 1, 1, 5)
    assert mapped(kernels, ends, "tanh").flatten().tolist()[:4] == pytest.approx([0.0, 0.0, 1.0, 1.0], abs=1e-37)
    assert mapped(kernels, ends, "tanh").isnan().flatten().tolist() == [False, False, False, False, True]


def test_another_map_is_pytorch_s(kernels: Kernels) -> None:
    x = torch.randn(1, 3, 4, 4)
    with NativeLayers(kernels):
        assert torch.equal(picture(x, 0.25), x + 0.25)
        assert torch.equal(picture(x[..., ::2], "tanh"), torch.tanh(x[..., ::2]) * 0.5 + 0.5)


@pytest.mark.parametrize("measure", EXACT)
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_mean_error(
    kernels: Kernels,
    assert_close: Callable[[Tensor | None, Tensor | None], None],
    *,
    measure: Measure,
    last: bool,
    shape: tuple[int, ...],
) -> None:
    torch.manual_seed(0)
    x, y = laid(torch.rand(shape), last=last).requires_grad_(), torch.rand(shape)
    with torch.no_grad():
        x[0, 0, 0, 0] = y[0, 0, 0, 0]  # where the gradient of a magnitude is 0
    assert takes(x, y)
    error = mean_error(kernels, measure, x, y)
    (3 * error).backward()
    exact = x.detach().double().requires_grad_()
    expected = EXACT[measure](exact, y.double())
    (3 * expected).backward()
    assert_close(error, expected)
    assert_close(x.grad, exact.grad)


@pytest.mark.parametrize("measure", EXACT)
def test_an_error_that_is_no_number_stays_so(kernels: Kernels, measure: Measure) -> None:
    x = torch.rand(1, 3, 9, 9)
    x[0, 1, 2, 3] = torch.nan
    x.requires_grad_()
    error = mean_error(kernels, measure, x, torch.rand(1, 3, 9, 9))
    error.backward()
    assert error.isnan()
    assert x.grad is not None
    assert x.grad.isnan().sum() == 1
    assert frame_psnr(kernels, x.detach(), torch.rand(1, 3, 9, 9)).isnan().all()


def test_psnr(kernels: Kernels) -> None:
    torch.manual_seed(0)
    x, y = laid(torch.rand(3, 3, 50, 70), last=True), torch.rand(3, 3, 50, 70)
    y[2] = x[2]
    torch.testing.assert_close(frame_psnr(kernels, x, y), float_psnr(x.double(), y.double()).float(), rtol=1e-6, atol=0)


def test_what_is_not_taken() -> None:
    x = torch.rand(2, 3, 4, 6)
    assert not takes(x, x.double())
    assert not takes(x.bfloat16(), x.bfloat16())
    assert not takes(x, x[:1])
    assert not takes(x[..., ::2], x[..., ::2])
    assert not takes(x, x.clone().requires_grad_())
