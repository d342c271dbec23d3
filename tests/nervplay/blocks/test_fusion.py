import torch
import torch.nn.functional as F

from nervplay.blocks.fusion import MultiResolutionFusion


@torch.no_grad()
def test_the_coarse_map_is_enlarged_and_joined_twice() -> None:
    unit = MultiResolutionFusion((5, 4, 3), (3, 2), 2)
    coarse, middle, fine = torch.randn(2, 5, 2, 3), torch.randn(2, 4, 6, 9), torch.randn(2, 3, 12, 18)

    def stack(part: torch.nn.Module, low: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
        x = part.get_submodule("enter")(torch.cat([low, same], 1))
        for block in part.get_submodule("blocks").children():
            y = F.leaky_relu(block.get_submodule("conv1")(x), 0.1)
            x = x + block.get_submodule("conv2")(y)
        return x

    first = stack(unit.join_middle, unit.up_coarse(coarse), middle)
    expected = stack(unit.join_fine, unit.up_middle(first), fine)
    out = unit(coarse, middle, fine)
    assert out.shape == (2, 3, 12, 18)
    torch.testing.assert_close(out, expected)
    assert unit.up_coarse.kernel_size == unit.up_coarse.stride == (3, 3)


def test_each_stack_has_as_many_residual_blocks_as_asked() -> None:

    def count(blocks: int) -> int:
        return sum(p.numel() for p in MultiResolutionFusion((64, 53, 44), (2, 2), blocks).parameters())

    assert count(6) - count(0) == 12 * (53 * 53 * 9 + 53 + 44 * 44 * 9 + 44)
    assert len(list(MultiResolutionFusion((64, 53, 44), (2, 2), 6).parameters())) == 2 * (2 + 2 + 24)
