"""Frames made in rectangles, so that a large frame takes no more memory than its rectangles do.

HiNeRV and SRNeRV compute a rectangle by itself, with a border that stands in for the rest of the frame
(`nervplay.blocks.window`); what comes out equals the whole frame but for rounding. Borders cost time, so rectangles are
as large as the budget allows.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from nervplay.decode.footprint import MOST_BYTES_PER_PIXEL, peak_bytes
from nervplay.decode.graph import Graph, UntraceableError, trace
from nervplay.errors import CapabilityError
from nervplay.models import VideoModel

__all__ = ["DEFAULT_BUDGET", "TiledNetwork", "Tiles", "choose_tiles", "device_memory"]

DEFAULT_BUDGET = 3 << 27
"""Bytes of maps that may live at once on the CPU, where nobody says otherwise: PyTorch takes up to four times that."""


@runtime_checkable
class TiledNetwork(Protocol):
    """A network that computes a rectangle of a frame alone; `HiNeRV` is one."""

    @property
    def raster(self) -> int:
        """Rectangles begin at multiples of this many rows and columns, and their sides are multiples of it."""
        ...

    def cut(self, moment: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
        """Return rectangles at frame indices, int64 (B,), or moments, float64 (B,): float32 (B, 3, height, width)."""
        ...


@dataclass(frozen=True)
class Tiles:
    """Equal rectangles that cover a frame; the last ones of a row and of a column may overlap their neighbours.

    Args:
        frame: (H, W), in pixels.
        height: rows of a rectangle.
        width: columns.
    """

    frame: tuple[int, int]
    height: int
    width: int

    @classmethod
    def whole(cls, height: int, width: int) -> Self:
        """Return the frame as its only rectangle."""
        return cls((height, width), height, width)

    @property
    def columns(self) -> int:
        """Rectangles side by side."""
        return -(-self.frame[1] // self.width)

    @property
    def count(self) -> int:
        """Rectangles of a frame; 1 where it is made whole."""
        return -(-self.frame[0] // self.height) * self.columns

    def corner(self, number: int) -> tuple[int, int]:
        """Return top and left of a rectangle, 0 .. count - 1, row by row."""
        row, column = divmod(number, self.columns)
        return min(row * self.height, self.frame[0] - self.height), min(column * self.width, self.frame[1] - self.width)

    def draw(self, model: VideoModel, moment: Tensor, number: Tensor) -> Tensor:
        """Return one rectangle of one frame, float (1, 3, height, width); of a whole frame what `model` gives.

        Args:
            model: the network; a `TiledNetwork` unless `count` is 1.
            moment: frame index, int64 (1,), or position, float64 (1,).
            number: of the rectangle, int64 (1,).
        """
        if self.count == 1:
            return model.at_position(moment) if moment.is_floating_point() else model(moment)
        assert isinstance(model, TiledNetwork)
        top = (number // self.columns * self.height).clamp(max=self.frame[0] - self.height)
        left = (number % self.columns * self.width).clamp(max=self.frame[1] - self.width)
        return model.cut(moment, top, left, self.height, self.width)

    def flat(self, model: VideoModel) -> Callable[[Tensor], Tensor]:
        """Return the network as a function of one number, index * count + rectangle, int64 (1,); see `draw`."""
        return model if self.count == 1 else lambda item: self.draw(model, item // self.count, item % self.count)

    def items(self, index: int) -> range:
        """Return the numbers of a frame's rectangles for `flat`."""
        return range(index * self.count, (index + 1) * self.count)

    def join(self, drawn: Iterable[Tensor]) -> Tensor:
        """Return the frame, (1, 3, H, W), of its rectangles in order; the only one as it is, without a copy."""
        if self.count == 1:
            return next(iter(drawn))
        whole: Tensor | None = None
        for number, part in enumerate(drawn):
            if whole is None:
                whole = part.new_empty(1, 3, *self.frame)
            top, left = self.corner(number)
            whole[..., top : top + self.height, left : left + self.width] = part
        assert whole is not None
        return whole


def device_memory(device: torch.device) -> int:
    """Return the bytes of memory that a device has, in use or not."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def choose_tiles(model: VideoModel, budget: int, memory: int, measure: Callable[[Graph], int] = peak_bytes) -> Tiles:
    """Return the largest rectangles whose maps stay within a budget, or the smallest that there are; else the frame.

    Args:
        model: the network, in eval mode.
        budget: bytes of maps that may live at once.
        memory: bytes that the device has.
        measure: how many a network needs; as PyTorch runs it, if nobody says otherwise.

    Raises:
        CapabilityError: a network that makes whole frames only, whose maps do not fit the memory.
    """
    tiles = Tiles.whole(model.config.height, model.config.width)
    able = isinstance(model, TiledNetwork)
    if tiles.height * tiles.width * MOST_BYTES_PER_PIXEL <= (budget if able else memory):
        return tiles
    need = _need(model, tiles, measure)
    if not isinstance(model, TiledNetwork):
        if need > memory:
            raise CapabilityError(
                f"a frame of {tiles.width}x{tiles.height} takes about {need / 1e9:.1f} GB of maps in this "
                f"{model.architecture}, and the device has {memory / 1e9:.1f} GB; take a machine with more memory, or "
                "a HiNeRV or SRNeRV, which are decoded in rectangles"
            )
        return tiles
    unit = model.raster
    while need > budget and max(tiles.height, tiles.width) > unit:
        height, width = (unit * -(-side // (2 * unit)) for side in (tiles.height, tiles.width))
        tall = tiles.height > tiles.width
        tiles = replace(tiles, height=height) if tall else replace(tiles, width=width)
        need = _need(model, tiles, measure)
    return tiles


def _need(model: VideoModel, tiles: Tiles, measure: Callable[[Graph], int]) -> int:
    """Return the bytes of maps that a rectangle takes; 0 where nobody can tell."""
    number = torch.zeros(1, dtype=torch.int64)
    try:
        return measure(trace(lambda index: tiles.draw(model, index, number)))
    except UntraceableError:
        return 0
