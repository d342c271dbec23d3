"""Parts of frames without their surroundings: rectangles with borders, computed exactly as the whole frame would be.

Source: HiNeRV, arXiv 2306.09818, sec. 3 (patches); official `models/patch_utils.py`, `models/upsample.py`
(method matmul-th-w). Maps are channels-last here: float (B, H, W, C).

Every layer looks a little beyond the rectangle that it makes, so each stage works on a rectangle with a border. Outside
the frame, where whole frames are padded with zeros, the border is set to zero after every layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Window", "patch_borders"]


def patch_borders(strides: Sequence[int], depths: Sequence[int]) -> tuple[int, ...]:
    """Return the border of the grid that the stem reads, then of each stage's map, in positions of that map.

    From the last stage back: 3x3 layers take one position each, bilinear enlargement rounds half to even and takes one.

    Args:
        strides: factor of each stage.
        depths: 3x3 layers of each stage.
    """
    borders = []
    border = 0
    for stride, depth in zip(reversed(strides), reversed(depths), strict=True):
        border += depth
        borders.append(border)
        border = round(border / stride) + (1 if stride > 1 else 0)
    return (border + 1, *reversed(borders))


def _outlined(start: Tensor, length: int, border: int) -> Tensor:
    """Return the positions from `border` before each start to `border` behind its end: int64 (B, length + 2 border)."""
    return start[:, None] - border + torch.arange(length + 2 * border, device=start.device)


def _axis_weights(targets: Tensor, sources: Tensor, stride: int, size: int, dtype: torch.dtype) -> Tensor:
    """Return the linear weights from source to target positions, half-pixel centres, edges of the frame repeated.

    Args:
        targets: int64 (B, n), positions in the enlarged frame.
        sources: int64 (B, m), positions in the frame before.
        stride: factor between the two.
        size: length of the frame before.
        dtype: of the result.

    Returns:
        (B, n, m); rows of targets outside the frame hold values of no use.
    """
    position = ((targets.double() + 0.5) / stride - 0.5).clamp(0, size - 1)
    return (1.0 - (position[:, :, None] - sources[:, None, :]).abs()).clamp(min=0.0).to(dtype)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Equal rectangles at one resolution, one per item of a batch, with a border on all four sides.

    Args:
        top: int64 (B,), first row of each rectangle, border excluded.
        left: int64 (B,), first column.
        height: rows of a rectangle, border excluded.
        width: columns.
        border: positions added on each side.
        frame: (H, W) of the whole map.
    """

    top: Tensor
    left: Tensor
    height: int
    width: int
    border: int
    frame: tuple[int, int]

    @property
    def rows(self) -> Tensor:
        """Rows with border, int64 (B, h); outside the frame they are negative or H and above."""
        return _outlined(self.top, self.height, self.border)

    @property
    def columns(self) -> Tensor:
        """Columns with border, int64 (B, w)."""
        return _outlined(self.left, self.width, self.border)

    def enlarged(self, stride: int, border: int) -> "Window":
        """Return the same rectangles after enlargement, with another border."""
        return Window(
            top=self.top * stride,
            left=self.left * stride,
            height=self.height * stride,
            width=self.width * stride,
            border=border,
            frame=(self.frame[0] * stride, self.frame[1] * stride),
        )

    def mask(self, dtype: torch.dtype) -> Tensor:
        """Return 1 inside the frame and 0 outside: (B, h, w, 1)."""
        rows, columns = self.rows, self.columns
        in_rows = (rows >= 0) & (rows < self.frame[0])
        in_columns = (columns >= 0) & (columns < self.frame[1])
        return (in_rows[:, :, None, None] & in_columns[:, None, :, None]).to(dtype)

    def cut(self, maps: Tensor) -> Tensor:
        """Return the rectangles with border of whole maps, zero outside the frame.

        Args:
            maps: float (B, H, W, C).

        Returns:
            float (B, h, w, C).
        """
        items = torch.arange(len(maps), device=maps.device)[:, None, None]
        rows = self.rows.clamp(0, self.frame[0] - 1)[:, :, None]
        columns = self.columns.clamp(0, self.frame[1] - 1)[:, None, :]
        return maps[items, rows, columns] * self.mask(maps.dtype)

    def enlarge(self, x: Tensor, after: "Window") -> Tensor:
        """Return `x` bilinearly enlarged.

        With gradients by two matrix products, which keeps training on GPUs deterministic. They take as many products
        per position as the rectangle has rows and columns; without gradients the usual four do.

        Args:
            x: float (B, h, w, C), this window with its border.
            after: `enlarged` of this window.

        Returns:
            float (B, h', w', C), `after` with its border; what lies outside the frame is of no use.
        """
        stride = after.height // self.height
        if not torch.is_grad_enabled():
            return self._interpolated(x, after, stride)
        down = _axis_weights(after.rows, self.rows, stride, self.frame[0], x.dtype)
        across = _axis_weights(after.columns, self.columns, stride, self.frame[1], x.dtype)
        y = torch.bmm(down, x.flatten(2)).view(len(x), -1, *x.shape[2:])
        return torch.matmul(across[:, None], y)

    def _interpolated(self, x: Tensor, after: "Window", stride: int) -> Tensor:
        """Return `enlarge` by PyTorch's interpolation, which repeats the edges of what it is given."""
        items = torch.arange(len(x), device=x.device)[:, None, None]
        rows = self.rows.clamp(0, self.frame[0] - 1) - self.rows[:, :1]
        columns = self.columns.clamp(0, self.frame[1] - 1) - self.columns[:, :1]
        x = x[items, rows[:, :, None], columns[:, None, :]]  # the frame's edges, repeated where the rectangle leaves it
        y = F.interpolate(x.permute(0, 3, 1, 2), scale_factor=stride, mode="bilinear").permute(0, 2, 3, 1)
        skip = self.border * stride - after.border
        height, width = after.height + 2 * after.border, after.width + 2 * after.border
        return y[:, skip : skip + height, skip : skip + width]

    def tiled(self, tile: Tensor) -> Tensor:
        """Return a tile laid periodically over the rectangles, border included.

        Args:
            tile: float (B, s, s, C); position (0, 0) of the frame takes tile position (0, 0), and `top` and `left` are
                multiples of s.

        Returns:
            float (B, h, w, C).
        """
        stride = tile.shape[1]
        skip = -self.border % stride
        height, width = self.height + 2 * self.border, self.width + 2 * self.border
        down, across = -(-(skip + height) // stride), -(-(skip + width) // stride)
        return tile.repeat(1, down, across, 1)[:, skip : skip + height, skip : skip + width]
