import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nervplay.blocks.ghost import GhostConv2d
from nervplay.errors import UsageError


def ghost_by_hand(layer: GhostConv2d, x: Tensor, channels: int, padding: int) -> Tensor:
    """GhostNet as published: ghosts of all primary maps, the first `channels` of both are kept."""
    primary = F.conv2d(x, layer.primary.weight, layer.primary.bias, padding=padding)
    ghosts = [
        F.conv2d(primary[:, i : i + 1], layer.cheap.weight[i : i + 1], layer.cheap.bias[i : i + 1], padding=1)
        for i in range(len(layer.cheap.weight))
    ]
    return torch.cat([primary, *ghosts], dim=1)[:, :channels]


@pytest.mark.parametrize("channels", [2, 7, 8])
@pytest.mark.parametrize(("kernel", "padding"), [(3, 1), (5, 2), (3, 0)])
@torch.no_grad()
def test_version_1(channels: int, kernel: int, padding: int) -> None:
    layer = GhostConv2d(5, channels, kernel, padding=padding)
    x = torch.randn(2, 5, 6, 9)
    out = layer(x)
    assert out.shape[1] == channels
    torch.testing.assert_close(out, ghost_by_hand(layer, x, channels, padding), atol=1e-5, rtol=0)


@torch.no_grad()
def test_version_2_is_version_1_times_the_gate() -> None:
    layer = GhostConv2d(4, 6, 3, padding=1, gated=True)
    x = torch.randn(1, 4, 5, 7)
    row, column, point = layer.gate[0].weight, layer.gate[1].weight, layer.gate[2]
    assert (row.shape, column.shape) == ((4, 1, 1, 3), (4, 1, 3, 1))
    both = column @ row  # (4, 1, 3, 3): depth-wise 1 x 3 after 3 x 1 is their outer product
    gate = torch.sigmoid(
        torch.einsum("oc,bchw->bohw", point.weight[..., 0, 0], F.conv2d(x, both, padding=1, groups=4))
        + point.bias[:, None, None]
    )
    torch.testing.assert_close(layer(x), ghost_by_hand(layer, x, 6, 1) * gate, atol=1e-5, rtol=0)


def test_keys() -> None:
    plain = {name: tuple(value.shape) for name, value in GhostConv2d(4, 7, 3, padding=1).state_dict().items()}
    assert plain == {
        "primary.weight": (4, 4, 3, 3),
        "primary.bias": (4,),
        "cheap.weight": (3, 1, 3, 3),
        "cheap.bias": (3,),
    }
    gated = list(GhostConv2d(4, 7, 3, padding=1, gated=True).state_dict())
    assert gated == [*plain, "gate.0.weight", "gate.1.weight", "gate.2.weight", "gate.2.bias"]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="has 1 output channel; it needs 2 or more"):
        GhostConv2d(4, 1, 3, padding=1)
    with pytest.raises(UsageError, match="of 4 taps changes the size; use an odd kernel"):
        GhostConv2d(4, 4, 4, padding=1, gated=True)
