"""Instance normalisation: PyTorch's values, and a gradient that no memory layout spoils."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nervplay.blocks.instance_norm import InstanceNorm2d, instance_norm


def gradient(x: Tensor, incoming: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(instance_norm(x, eps=1e-5), x, incoming)[0]


@pytest.mark.parametrize("x_last", [False, True])
@pytest.mark.parametrize("gradient_last", [False, True])
def test_the_gradient_is_that_of_double_precision(x_last: bool, gradient_last: bool) -> None:
    torch.manual_seed(0)
    x, incoming = torch.randn(2, 8, 6, 10), torch.randn(2, 8, 6, 10)
    exact = gradient(x.double(), incoming.double())
    layouts = {False: torch.contiguous_format, True: torch.channels_last}
    found = gradient(
        x.contiguous(memory_format=layouts[x_last]), incoming.contiguous(memory_format=layouts[gradient_last])
    )
    torch.testing.assert_close(found.double(), exact, atol=1e-5, rtol=0)


def test_values_are_those_of_pytorch() -> None:
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(instance_norm(x, eps=1e-3), F.instance_norm(x, eps=1e-3))
    ours, theirs = InstanceNorm2d(3, affine=True), torch.nn.InstanceNorm2d(3, affine=True)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert torch.equal(ours(x), theirs(x))


def test_an_activation_may_change_the_result_in_place() -> None:
    x = torch.randn(2, 3, 4, 5)
    leaf, again = x.clone().requires_grad_(), x.clone().requires_grad_()
    torch.relu_(instance_norm(leaf, eps=1e-5)).square().sum().backward()
    torch.relu(F.instance_norm(again)).square().sum().backward()
    assert leaf.grad is not None
    torch.testing.assert_close(leaf.grad, again.grad)
