import pytest
import torch
from torch import nn

from nervplay.blocks.conv_kinds import StageConv
from nervplay.blocks.low_rank import LowRankConv2d
from nervplay.blocks.up_conv import UpConv, up_layers
from nervplay.errors import UnknownNameError, UsageError


@torch.no_grad()
@pytest.mark.parametrize(
    ("kind", "shape"), [("conv", (45, 4, 3, 3)), ("deconv", (4, 5, 3, 3)), ("bilinear", (5, 4, 7, 7))]
)
def test_every_way_up_enlarges(kind: str, shape: tuple[int, ...]) -> None:
    module = UpConv(kind, 4, 5, 3)
    assert [(name, tuple(value.shape)) for name, value in module.named_parameters()] == [
        ("conv.weight", shape),
        ("conv.bias", (5 if kind != "conv" else 45,)),
    ]
    assert module(torch.rand(2, 4, 6, 7)).shape == (2, 5, 18, 21)


@torch.no_grad()
def test_pixel_shuffle_spreads_channels_over_rows_then_columns() -> None:
    module = UpConv("conv", 1, 1, 2)
    x = torch.rand(1, 1, 3, 3)
    wide, out = module.conv(x), module(x)
    for place in range(4):
        assert torch.equal(out[0, 0, place // 2 :: 2, place % 2 :: 2], wide[0, place])


@torch.no_grad()
def test_bilinear_aligns_the_corners() -> None:
    layers = up_layers("bilinear", 1, 1, 2)
    assert layers.before is not None
    ramp = torch.tensor([[[[0.0, 5.0, 10.0]] * 3]])
    torch.testing.assert_close(layers.before(ramp)[0, 0, 0], torch.arange(0.0, 11.0, 2.0))
    assert layers.after is None


def test_a_transposed_convolution_stands_alone() -> None:
    before, conv, after = up_layers("deconv", 2, 3, 4)
    assert (before, after) == (None, None)
    assert isinstance(conv, nn.ConvTranspose2d)


@torch.no_grad()
@pytest.mark.parametrize(("kind", "taps"), [("conv", 5), ("bilinear", 5), ("deconv", 2)])
def test_the_kernel_counts_for_pixel_shuffle_only(kind: str, taps: int) -> None:
    before, conv, after = up_layers(kind, 2, 3, 2, kernel=5)
    assert conv.kernel_size == (taps, taps)
    x = torch.rand(1, 2, 4, 6)
    for layer in (before, conv, after):
        x = x if layer is None else layer(x)
    assert x.shape == (1, 3, 8, 12)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["conv", "bilinear"])
def test_other_convolutions_enlarge_alike(kind: str) -> None:
    module = UpConv(kind, 4, 5, 3, choice=StageConv(stage=0, kind="low-rank", rho=0.5))
    assert type(module.conv) is LowRankConv2d
    assert module(torch.rand(2, 4, 6, 7)).shape == (2, 5, 18, 21)


def test_a_transposed_convolution_is_dense() -> None:
    with pytest.raises(UsageError, match="a transposed convolution cannot be ghost; choose another way up"):
        up_layers("deconv", 4, 4, 2, choice=StageConv(stage=0, kind="ghost"))


def test_a_stride_of_one_shuffles_nothing() -> None:
    assert up_layers("conv", 2, 3, 1).after is None


def test_another_way_up_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="way up 'decnov'; did you mean deconv"):
        up_layers("decnov", 1, 1, 1)
