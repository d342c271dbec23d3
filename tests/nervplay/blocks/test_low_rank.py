import pytest
import torch
import torch.nn.functional as F

from nervplay.blocks.low_rank import LowRankConv2d, rank_of


@pytest.mark.parametrize(
    ("rho", "channels", "rank"),
    [(0.25, (26, 650), 7), (0.25, (96, 384), 24), (0.25, (384, 96), 24), (0.07, (100, 200), 7), (1, (5, 9), 5)],
)
def test_rank(rho: float, channels: tuple[int, int], rank: int) -> None:
    assert rank_of(rho, *channels) == rank


def test_there_is_always_a_rank() -> None:
    assert rank_of(1e-9, 3, 3) == 1


def test_keys_and_shapes() -> None:
    shapes = {
        name: tuple(value.shape) for name, value in LowRankConv2d(8, 20, 3, padding=1, rho=0.5).state_dict().items()
    }
    assert shapes == {"0.weight": (4, 8, 3, 1), "1.weight": (20, 4, 1, 3), "1.bias": (20,)}


@pytest.mark.parametrize(("kernel", "padding"), [(3, 1), (5, 2), (1, 0), (3, 0)])
@torch.no_grad()
def test_it_is_the_convolution_with_the_product_of_its_weights(kernel: int, padding: int) -> None:
    layer = LowRankConv2d(6, 9, kernel, padding=padding, rho=0.5)
    weight = torch.einsum("rcy,orx->ocyx", layer[0].weight[..., 0], layer[1].weight[:, :, 0])
    x = torch.randn(2, 6, 8, 7)
    torch.testing.assert_close(layer(x), F.conv2d(x, weight, layer[1].bias, padding=padding), atol=1e-5, rtol=0)


def test_weights_are_drawn_in_the_order_of_the_layers() -> None:
    torch.manual_seed(3)
    layer = LowRankConv2d(6, 9, 3, padding=1, rho=0.5)
    torch.manual_seed(3)
    first = torch.nn.Conv2d(6, 3, (3, 1), bias=False)
    second = torch.nn.Conv2d(3, 9, (1, 3))
    assert torch.equal(layer[0].weight, first.weight)
    assert torch.equal(layer[1].bias, second.bias)
