"""Grids of learnt features, resampled in time: what HiNeRV and SRNeRV know of a clip besides their layers.

Source: HiNeRV, arXiv 2306.09818, sec. 3 (base and hierarchical encodings); official `models/hinerv.py`
(HiNeRVEncoding), `models/encoding.py` (TemporalLocalGridEncoding), `models/layers.py` (FeatureGrid).

A grid has several levels; a level has R rows in time and F features at every position of a small map. Frame i of T
reads it at p = (i + 1/2) R / T - 1/2, kept within 0 .. R - 1: two rows and a linear blend.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["FeatureGrid", "Level", "LocalEncoding", "Moments"]

_INIT_SCALE = 1e-3


class Level(NamedTuple):
    """One level of a grid: R rows in time, F features per position."""

    rows: int
    features: int


class Moments:
    """Where the frames of a batch lie in grids of any number of rows; made once per forward pass, shared by all levels.

    Args:
        index: int64 (B,), frame indices; or float (B,), moments between frames.
        frame_count: T.
    """

    def __init__(self, index: Tensor, frame_count: int) -> None:
        self._index = index
        self._frame_count = frame_count
        self._known: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    def _between(self, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the row before, the row behind (both int64) and the share of the latter (float64), each (B,)."""
        if rows not in self._known:
            position = ((self._index.double() + 0.5) * (rows / self._frame_count) - 0.5).clamp(0, rows - 1)
            before = position.floor()
            low = before.long()
            self._known[rows] = (low, (low + 1).clamp(max=rows - 1), position - before)
        return self._known[rows]

    def sample(self, grid: Tensor) -> Tensor:
        """Return a grid at the moments of the batch.

        Args:
            grid: float (R, N), R rows in time.

        Returns:
            float (B, N), of the grid's dtype.
        """
        rows = grid.shape[0]
        if rows == self._frame_count and not self._index.is_floating_point():
            return grid[self._index]  # the position is the index itself: nothing to blend
        low, high, share = self._between(rows)
        return torch.lerp(grid[low], grid[high], share.to(grid.dtype)[:, None])


class FeatureGrid(nn.Module):
    """Levels of learnt features, drawn from U(-0.001, 0.001), one level after the other as in the official code.

    Keys: `levels.J`, float, two dimensions. The official quantiser gives all values along the longest axis one scale,
    if that is longer than 20. So the layout decides what shares a scale: in base grids, (R * N, F), a feature; in local
    ones, (R, N * F), a column or a moment, whichever are fewer.

    Args:
        levels: rows and features of each level.
        positions: N, places in space.
        tall: store (R * N, F); otherwise (R, N * F).
    """

    def __init__(self, levels: Sequence[Level], positions: int, *, tall: bool) -> None:
        super().__init__()
        self._shapes = [(level.rows, positions, level.features) for level in levels]
        self.levels = nn.ParameterList()
        for rows, places, features in self._shapes:
            stored = (rows * places, features) if tall else (rows, places * features)
            self.levels.append(nn.Parameter(torch.empty(stored).uniform_(-_INIT_SCALE, _INIT_SCALE)))

    def forward(self, moments: Moments) -> Tensor:
        """Return float (B, N, F) at the moments of a batch, the features of all levels side by side, level 0 first."""
        parts = []
        for level, (rows, places, features) in zip(self.levels, self._shapes, strict=True):
            parts.append(moments.sample(level.view(rows, places * features)).view(-1, places, features))
        return torch.cat(parts, -1)


class LocalEncoding(nn.Module):
    """The encoding of one stage: features of a moment become a tile of stride x stride positions, to cover the map.

    Keys: `grid.levels.J` (R, stride**2 * F), `linear.weight` (C, sum of F), `linear.bias` (C,).

    Args:
        levels: rows and features of each level.
        stride: s, factor by which the stage enlarges.
        channels: C, channels of the map that the tile is added to.
    """

    def __init__(self, levels: Sequence[Level], stride: int, channels: int) -> None:
        super().__init__()
        self._stride = stride
        self.grid = FeatureGrid(levels, stride**2, tall=False)
        self.linear = nn.Linear(sum(level.features for level in levels), channels)
        nn.init.zeros_(self.linear.bias)

    def forward(self, moments: Moments) -> Tensor:
        """Return the tile, float (B, s, s, C): map position (y, x) takes tile position (y mod s, x mod s)."""
        tile: Tensor = self.linear(self.grid(moments))
        return tile.view(len(tile), self._stride, self._stride, -1)
