import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nervplay.blocks.binary import BinaryConv2d, binarise


def test_a_channel_is_its_mean_times_its_signs() -> None:
    weight = torch.tensor([[1.0, -3.0, 0.0, 4.0], [-0.5, -0.5, -0.5, 0.5]]).reshape(2, 1, 2, 2)
    expected = torch.tensor([[2.0, -2.0, 2.0, 2.0], [-0.5, -0.5, -0.5, 0.5]]).reshape(2, 1, 2, 2)
    assert torch.equal(binarise(weight), expected)


@given(st.integers(0, 1 << 30), st.integers(1, 9), st.integers(1, 60), st.sampled_from([1, 3, 5]))
@settings(deadline=None, max_examples=60)
def test_twice_is_once(seed: int, channels_out: int, channels_in: int, kernel: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(channels_out, channels_in, kernel, kernel, generator=generator)
    once = binarise(weight * 10 ** torch.randn(channels_out, 1, 1, 1, generator=generator))
    assert torch.equal(binarise(once), once)
    assert all(len(channel.abs().unique()) == 1 for channel in once)


def test_gradients() -> None:
    weight = torch.tensor([0.5, -0.25, 1.0, -1.5, 2.0]).reshape(1, 5, 1, 1).requires_grad_()
    upstream = torch.tensor([1.0, 2.0, -1.0, 4.0, 8.0])
    (binarise(weight).flatten() * upstream).sum().backward()
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])
    alpha, inside = 5.25 / 5, torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0])
    # alpha moves with every |w|; a sign passes the gradient where |w| <= 1
    expected = (upstream * signs).sum() * signs / 5 + alpha * upstream * inside
    torch.testing.assert_close(weight.grad.flatten(), expected)


@torch.no_grad()
def test_it_convolves_with_the_binary_weight() -> None:
    torch.manual_seed(4)
    layer = BinaryConv2d(3, 4, 3, padding=1)
    torch.manual_seed(4)
    dense = nn.Conv2d(3, 4, 3, padding=1)
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert torch.equal(layer.weight, dense.weight)
    x = torch.randn(2, 3, 5, 6)
    out = layer(x)
    torch.testing.assert_close(out, F.conv2d(x, binarise(dense.weight), dense.bias, padding=1), rtol=0, atol=0)
    layer.weight.copy_(layer.stored_weight())
    assert torch.equal(layer(x), out), "the stored weight takes the place of the trained one"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_types_stay_what_they_are(dtype: torch.dtype) -> None:
    assert BinaryConv2d(3, 4, 3).to(dtype)(torch.ones(1, 3, 4, 4, dtype=dtype)).dtype == dtype
