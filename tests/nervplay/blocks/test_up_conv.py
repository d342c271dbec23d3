import pytest
import torch
from torch import nn

from nervplay.blocks.up_conv import UpConv, up_layers
from nervplay.errors import UnknownNameError


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
def test_bilinear_keeps_the_corners() -> None:
    layers = up_layers("bilinear", 1, 1, 2)
    assert layers.before is not None
    x = torch.rand(1, 1, 3, 3)
    torch.testing.assert_close(layers.before(x)[0, 0, ::5, ::5], x[0, 0, ::2, ::2])
    assert layers.after is None


def test_a_transposed_convolution_stands_alone() -> None:
    before, conv, after = up_layers("deconv", 2, 3, 4)
    assert (before, after) == (None, None)
    assert isinstance(conv, nn.ConvTranspose2d)


def test_another_way_up_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="way up 'decnov'; did you mean deconv"):
        up_layers("decnov", 1, 1, 1)
