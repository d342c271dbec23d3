"""The fused SSIM is pytorch_msssim's, value and gradient."""

import pytest
import torch

from nervplay.metrics import float_ssim
from nervplay.training import get_loss
from nervplay.training.fused_ssim import fused_ssim, takes
from nervplay.training.native.library import kernels


@pytest.mark.parametrize("shape", [(1, 3, 11, 11), (2, 3, 24, 40), (2, 1, 16, 64)])
def test_value_and_gradient_are_those_of_the_reference(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    target = torch.nn.functional.avg_pool2d(torch.rand(*shape[:2], shape[2] + 4, shape[3] + 4), 5, 1)
    ours = (target + 0.05 * torch.randn(shape)).double().requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    value, expected = fused_ssim(ours, target.double()), float_ssim(theirs, target.double()).mean()
    assert value.item() == pytest.approx(expected.item(), abs=1e-9)
    (3 * value).backward()
    (3 * expected).backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 3, 11, 11), (2, 3, 24, 290), (1, 1, 37, 251), (1, 3, 90, 160)])
def test_the_kernels_compute_the_same(shape: tuple[int, ...]) -> None:
    native = kernels()
    if native is None:
        pytest.skip("no C compiler is here")
    torch.manual_seed(0)
    target = torch.nn.functional.avg_pool2d(torch.rand(*shape[:2], shape[2] + 4, shape[3] + 4), 5, 1)
    ours = (target + 0.05 * torch.randn(shape)).contiguous(memory_format=torch.channels_last).requires_grad_()
    exact = ours.detach().double().requires_grad_()
    value, expected = fused_ssim(ours, target, native), float_ssim(exact, target.double()).mean()
    assert value.item() == pytest.approx(expected.item(), abs=2e-5)
    (3 * value).backward()
    (3 * expected).backward()
    assert ours.grad is not None
    assert exact.grad is not None
    assert (ours.grad - exact.grad).norm() <= 1e-4 * exact.grad.norm()
    assert "NativeSsim" in _functions(value)
    assert "MeanSsim" in _functions(fused_ssim(exact, target.double(), native)), "the kernels are of float32"


def test_the_gradient_is_that_of_finite_differences() -> None:
    torch.manual_seed(1)
    x, y = (torch.rand(1, 1, 12, 13, dtype=torch.float64) for _ in range(2))
    assert torch.autograd.gradcheck(lambda it: fused_ssim(it, y), x.requires_grad_())


def test_frames_that_it_does_not_take_have_the_reference() -> None:
    for shape in ((1, 3, 10, 40), (1, 3, 3, 16, 16)):
        assert not takes(torch.zeros(shape))
        x, y = torch.rand(shape), torch.rand(shape)
        assert torch.equal(get_loss("SSIM", fused=True)(x, y), get_loss("SSIM")(x, y))


@pytest.mark.parametrize("name", ["SSIM", "Fusion6", "Fusion4"])
def test_losses_take_it_when_asked(name: str) -> None:
    torch.manual_seed(0)
    x, y = torch.rand(2, 3, 32, 32, requires_grad=True), torch.rand(2, 3, 32, 32)
    fused = get_loss(name, fused=True)(x, y)
    assert fused.item() == pytest.approx(get_loss(name)(x, y).item(), abs=1e-5)
    assert "MeanSsim" in _functions(fused)
    assert "MeanSsim" not in _functions(get_loss(name)(x, y))


def _functions(value: torch.Tensor) -> str:
    """Return the names of all functions in the graph behind a value."""
    names, left = [], [value.grad_fn]
    while left:
        function = left.pop()
        if function is not None:
            names.append(function.name())
            left.extend(following for following, _ in function.next_functions)
    return " ".join(names)
