"""A ConvNeXt block, value and gradients, is that of float64."""

from copy import deepcopy

import pytest
import torch

from nervplay.blocks.convnext import ConvNeXtBlock
from nervplay.training.native.layers import NativeLayers, fusible
from nervplay.training.native.library import Kernels


@pytest.mark.parametrize(("half", "limit"), [(False, 2e-5), (True, 2e-2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 64, 9, 16), (1, 7, 9, 3), (2, 20, 5, 21), (1, 33, 1, 1)])
def test_value_and_gradients(
    kernels: Kernels, shape: tuple[int, ...], dtype: torch.dtype, half: bool, limit: float
) -> None:
    torch.manual_seed(0)
    block = ConvNeXtBlock(shape[1])
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    exact = deepcopy(block).double()
    x = torch.randn(shape).to(dtype).requires_grad_()
    with NativeLayers(kernels, fusible(block)), torch.autocast("cpu", torch.bfloat16, enabled=half):
        y = block(x)
    slope = torch.randn(shape)
    y.backward(slope)
    x64 = x.detach().double().requires_grad_()
    expected = exact(x64)
    expected.backward(slope.double())
    assert y.dtype == torch.float32
    assert y.grad_fn is not None
    assert "ConvNeXtBlock" in y.grad_fn.name()
    pairs = [(y, expected), (x.grad, x64.grad)]
    pairs += [(ours.grad, theirs.grad) for ours, theirs in zip(block.parameters(), exact.parameters(), strict=True)]
    for ours, theirs in pairs:
        assert ours.shape == theirs.shape
        bound = max(limit, 5e-3 if ours.dtype == torch.bfloat16 else 0.0)
        assert (ours.double() - theirs).norm() <= bound * max(theirs.norm(), 1e-6 * theirs.numel() ** 0.5)


def test_equal_arguments_give_equal_bits(kernels: Kernels) -> None:
    before, results = torch.get_num_threads(), []
    torch.manual_seed(0)
    block, frames = ConvNeXtBlock(20), torch.randn(2, 20, 9, 13)
    try:
        torch.set_num_threads(3)
        for _ in range(2):
            block.zero_grad()
            x = frames.clone().requires_grad_()
            with NativeLayers(kernels, fusible(block)):
                y = block(x)
            y.square().sum().backward()
            results.append([y, x.grad, *(it.grad.clone() for it in block.parameters() if it.grad is not None)])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))
