"""Grids in time: positions, blending, layout, the tile of a local encoding."""

import pytest
import torch

from nervplay.blocks.feature_grid import FeatureGrid, Level, LocalEncoding, Moments


def test_half_pixel_positions_are_clamped_at_both_ends() -> None:
    grid = torch.tensor([[0.0], [10.0]])
    got = Moments(torch.arange(8), 8).sample(grid)[:, 0]
    # p = (i + .5) / 4 - .5 = -.375, -.125, .125, .375, .625, .875, 1.125, 1.375
    assert torch.allclose(got, torch.tensor([0.0, 0.0, 1.25, 3.75, 6.25, 8.75, 10.0, 10.0]))


@pytest.mark.parametrize("rows", [1, 3, 7, 20, 40])
def test_equals_pytorchs_linear_resampling(rows: int) -> None:
    grid = torch.rand(rows, 5, dtype=torch.float64)
    index = torch.tensor([0, 6, 19, 3])
    whole = torch.nn.functional.interpolate(grid.T[None], size=20, mode="linear")[0].T
    assert torch.allclose(Moments(index, 20).sample(grid), whole[index], atol=1e-12)


def test_moments_between_frames_are_blended() -> None:
    grid = torch.rand(6, 3)
    halfway = Moments(torch.tensor([2.5]), 6).sample(grid)[0]
    assert torch.allclose(halfway, (grid[2] + grid[3]) / 2)


def test_levels_stand_side_by_side_and_both_layouts_read_alike() -> None:
    moments = Moments(torch.tensor([1, 3]), 4)
    tall = FeatureGrid((Level(4, 2), Level(2, 3)), 6, tall=True)
    wide = FeatureGrid((Level(4, 2), Level(2, 3)), 6, tall=False)
    assert [tuple(level.shape) for level in tall.levels] == [(24, 2), (12, 3)]
    assert [tuple(level.shape) for level in wide.levels] == [(4, 12), (2, 18)]
    with torch.no_grad():
        for a, b in zip(tall.levels, wide.levels, strict=True):
            b.copy_(a.view(b.shape))
    assert tall(moments).shape == (2, 6, 5)
    assert torch.equal(tall(moments), wide(moments))
    assert torch.equal(tall(moments)[1, 4, :2], tall.levels[0][3 * 6 + 4])


def test_initial_values_are_small_and_drawn_in_order() -> None:
    torch.manual_seed(0)
    grid = FeatureGrid((Level(9, 50), Level(4, 50)), 4, tall=True)
    torch.manual_seed(0)
    assert torch.equal(grid.levels[0], torch.empty(36, 50).uniform_(-1e-3, 1e-3))
    assert torch.equal(grid.levels[1], torch.empty(16, 50).uniform_(-1e-3, 1e-3))


def test_tile_is_row_major() -> None:
    local = LocalEncoding((Level(3, 2),), 2, 4)
    with torch.no_grad():
        local.linear.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]))
        local.linear.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 7.0]))
        local.grid.levels[0].copy_(torch.arange(24.0).view(3, 8))
    tile = local(Moments(torch.tensor([1]), 3))
    assert tile.shape == (1, 2, 2, 4)
    assert tile[0, 0, 1].tolist() == [10.0, 11.0, 21.0, 7.0]
    assert tile[0, 1, 0].tolist() == [12.0, 13.0, 25.0, 7.0]
    assert not LocalEncoding((Level(3, 2),), 2, 4).linear.bias.any()
