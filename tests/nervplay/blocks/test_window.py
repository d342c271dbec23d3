"""Rectangles with borders: the official borders, cutting, enlarging and tiling against whole frames."""

import pytest
import torch
import torch.nn.functional as F

from nervplay.blocks.window import Window, patch_borders


@pytest.mark.parametrize(
    ("strides", "depths", "expected"),
    [
        ((5, 2, 2, 2), (3, 3, 3, 1), (3, 7, 6, 4, 1)),
        ((5, 4, 2, 2), (3, 3, 3, 1), (3, 6, 6, 4, 1)),
        ((5, 3, 2, 2), (3, 3, 3, 1), (3, 6, 6, 4, 1)),
        ((5, 4, 3, 2), (3, 3, 3, 1), (3, 5, 5, 4, 1)),
        ((5, 4, 2, 2), (2, 1, 1, 1), (3, 4, 3, 2, 1)),
        ((5, 4, 3, 2), (2, 1, 1, 1), (3, 4, 3, 2, 1)),
        ((5, 3, 2, 2), (4, 4, 4, 1), (3, 7, 7, 5, 1)),
        ((5, 3, 2, 2), (5, 5, 5, 1), (4, 9, 9, 6, 1)),
        ((1, 2), (1, 1), (3, 2, 1)),
    ],
)
def test_borders_are_the_official_ones(
    strides: tuple[int, ...], depths: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert patch_borders(strides, depths) == expected


def _window(top: list[int], left: list[int], border: int, frame: tuple[int, int] = (6, 8)) -> Window:
    return Window(top=torch.tensor(top), left=torch.tensor(left), height=2, width=3, border=border, frame=frame)


def test_cut_is_zero_outside_the_frame() -> None:
    maps = torch.rand(2, 6, 8, 3) + 1
    cut = _window([0, 3], [5, 2], 2).cut(maps)
    padded = F.pad(maps, (0, 0, 2, 2, 2, 2))
    assert torch.equal(cut[0], padded[0, 0:6, 5:12])
    assert torch.equal(cut[1], padded[1, 3:9, 2:9])


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
def test_enlarged_rectangles_equal_the_enlarged_frame(stride: int) -> None:
    maps = torch.rand(3, 6, 8, 2)
    before = _window([0, 4, 2], [0, 5, 3], 2)
    after = before.enlarged(stride, 1)
    whole = F.interpolate(maps.permute(0, 3, 1, 2), scale_factor=stride, mode="bilinear").permute(0, 2, 3, 1)
    got = before.enlarge(before.cut(maps), after) * after.mask(maps.dtype)
    assert got.shape == (3, 2 * stride + 2, 3 * stride + 2, 2)
    assert torch.allclose(got, after.cut(whole), atol=1e-6)


@pytest.mark.parametrize("border", [0, 1, 3, 4])
def test_tiles_keep_the_raster_of_the_frame(border: int) -> None:
    tile = torch.rand(2, 3, 3, 2)
    window = Window(
        top=torch.tensor([0, 6]), left=torch.tensor([3, 9]), height=3, width=6, border=border, frame=(9, 15)
    )
    whole = tile.repeat(1, 3, 5, 1)
    assert torch.equal(window.tiled(tile) * window.mask(tile.dtype), window.cut(whole))
