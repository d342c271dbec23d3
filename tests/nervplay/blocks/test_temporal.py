import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nervplay.blocks.temporal import Mixing, SpatialUp, TemporalUp


@torch.no_grad()
def test_the_2d_block_adds_its_refinement() -> None:
    block = SpatialUp(4, 3, 2)
    x = torch.randn(2, 4, 3, 5)
    large = block.up(x)
    refined = F.leaky_relu(block.narrow(F.leaky_relu(block.widen(large), 0.1)), 0.1)
    assert block.widen.out_channels == 6
    torch.testing.assert_close(block(x), large + refined)


@torch.no_grad()
@pytest.mark.parametrize("mixing", ["3d", "2d"])
@pytest.mark.parametrize("last", [False, True])
def test_three_frames_go_up_by_their_own_and_mix(mixing: Mixing, last: bool) -> None:
    block = TemporalUp(4, 2, 2, mixing=mixing, last=last)
    three = torch.randn(2, 4, 3, 3, 5)
    before, frame, after = (three[:, :, i] for i in range(3))
    ups = [block.up_previous(before), block.up(frame), block.up_next(after)]
    if mixing == "3d":
        joined = torch.stack(ups, 2)
        mixed = F.leaky_relu(block.narrow(F.leaky_relu(block.widen(joined), 0.1)), 0.1)
        expected = mixed + (joined[:, :, 1:2] if last else joined)
    else:
        flat = torch.cat(ups, 1)
        mixed = F.leaky_relu(block.narrow(F.leaky_relu(block.widen(flat), 0.1)), 0.1)
        parts = [mixed + ups[1]] if last else list((mixed + flat).chunk(3, 1))
        expected = torch.stack(parts, 2)
    out = block(three)
    assert out.shape == (2, 2, 1 if last else 3, 6, 10)
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("mixing", ["3d", "2d"])
def test_arithmetic_is_equal_and_weights_are_three_times_as_many(mixing: Mixing) -> None:
    block = TemporalUp(4, 5, 2, mixing=mixing, last=False)
    macs = 0

    def watch(layer: torch.nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        macs += output.numel() * layer.get_parameter("weight")[0].numel()

    for part in (block.widen, block.narrow):
        part.register_forward_hook(watch)
    block(torch.zeros(1, 4, 3, 2, 2))
    assert macs == 2 * 16 * 3 * 5 * 10 * 27
    weights = sum(part.get_parameter("weight").numel() for part in (block.widen, block.narrow))
    assert weights == 2 * 5 * 10 * 27 * (1 if mixing == "3d" else 3)
