import pytest
import torch
from torch import nn

from nervplay.blocks.conv_block import ConvBlock, down_block, down_size, nerv_block, up_block, up_size
from nervplay.blocks.conv_kinds import StageConv
from nervplay.errors import UnknownNameError, UsageError

LOOK = {"norm": "none", "activation": "relu"}


@pytest.mark.parametrize("kernel", range(6))
@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", ["pshuffel", "conv", "interpolate"])
def test_sizes_are_those_that_come_out(kind: str, stride: int, kernel: int) -> None:
    if kind == "pshuffel" and kernel == 0:
        pytest.skip("a convolution needs at least one tap")
    up = up_block(kind, 2, 3, kernel=kernel, stride=stride, **LOOK)(torch.ones(1, 2, 7, 8))
    assert up.shape == (1, 3, *(up_size(kind, n, kernel=kernel, stride=stride) for n in (7, 8)))
    down = down_block(kind, 2, 3, kernel=kernel, stride=stride, **LOOK)(torch.ones(1, 2, 6 * stride, 7 * stride))
    assert down.shape == (1, 3, *(down_size(kind, n * stride, kernel=kernel, stride=stride) for n in (6, 7)))


@pytest.mark.parametrize(
    ("kind", "kernel"), [("pshuffel", 1), ("pshuffel", 5), ("conv", 0), ("conv", 4), ("interpolate", 1)]
)
def test_fitting_kernels_multiply_the_size(kind: str, kernel: int) -> None:
    assert up_size(kind, 9, kernel=kernel, stride=2) == 18


def test_pixel_shuffle_puts_neighbouring_channels_side_by_side() -> None:
    block = up_block("pshuffel", 1, 1, kernel=1, stride=2, **LOOK)
    nn.init.zeros_(block.conv.weight)
    block.conv.bias.data = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert block(torch.zeros(1, 1, 1, 1)).tolist() == [[[[1.0, 2.0], [3.0, 4.0]]]]


@torch.no_grad()
def test_interpolation_spreads_pixels_evenly() -> None:
    block = up_block("interpolate", 1, 1, kernel=1, stride=2, **LOOK)
    ramp = torch.tensor([[[[0.0, 4.0, 8.0]] * 3]])
    torch.testing.assert_close(block.before(ramp)[0, 0, 0], torch.tensor([0.0, 1.0, 3.0, 5.0, 7.0, 8.0]))


def test_order_is_convolution_norm_activation() -> None:
    block = ConvBlock(nn.Conv2d(1, 1, 1), 1, norm="in", activation="relu")
    block.conv.weight.data.fill_(1.0)
    block.conv.bias.data.fill_(100.0)
    out = block(torch.tensor([[[[-1.0, 1.0]]]]))
    torch.testing.assert_close(out, torch.tensor([[[[0.0, 1.0]]]]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["conv", "deconv", "bilinear"])
def test_blocks_of_nerv_enlarge_exactly_then_normalise(kind: str) -> None:
    block = nerv_block(kind, 4, 6, stride=3, norm="bn", activation="relu")
    assert [name for name, _ in block.named_parameters()] == ["conv.weight", "conv.bias", "norm.weight", "norm.bias"]
    out = block(torch.rand(2, 4, 5, 7))
    assert out.shape == (2, 6, 15, 21)
    assert (out == 0).any()
    assert out.min() == 0


def test_keys() -> None:
    assert list(up_block("conv", 1, 1, kernel=2, stride=2, **LOOK).state_dict()) == ["conv.weight", "conv.bias"]
    named = list(up_block("pshuffel", 1, 1, kernel=1, stride=2, norm="bn", activation="relu").state_dict())
    assert named[:5] == ["conv.weight", "conv.bias", "norm.weight", "norm.bias", "norm.running_mean"]


def test_unknown_norm() -> None:
    with pytest.raises(UnknownNameError, match="normalisation 'bm'"):
        up_block("conv", 1, 1, kernel=2, stride=2, norm="bm", activation="relu")


CHOICES = [
    StageConv(stage=0, kind="low-rank", rho=0.5),
    StageConv(stage=0, kind="ghost"),
    StageConv(stage=0, kind="ghost-v2"),
    StageConv(stage=0, kind="binary"),
]


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize(("kind", "kernel", "stride"), [("pshuffel", 3, 2), ("pshuffel", 1, 3), ("interpolate", 2, 3)])
def test_other_convolutions_enlarge_alike(kind: str, kernel: int, stride: int, choice: StageConv) -> None:
    block = up_block(kind, 4, 6, kernel=kernel, stride=stride, choice=choice, **LOOK)
    assert type(block.conv) is not nn.Conv2d
    assert block(torch.ones(1, 4, 5, 7)).shape == (1, 6, 5 * stride, 7 * stride)


def test_transposed_convolutions_are_dense() -> None:
    with pytest.raises(UsageError, match="a transposed convolution cannot be low-rank"):
        up_block("conv", 4, 6, kernel=2, stride=2, choice=CHOICES[0], **LOOK)
