"""Frames as the host wants them, RGBA of its size, in memory that both processes have mapped."""

import mmap
import os
import tempfile
from collections.abc import Callable
from typing import Self

import numpy as np
from av import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from nervplay.video.source import Frame

__all__ = ["FrameRing"]

_PAGE = 4096
_SLOTS = 4
_SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP


class FrameRing:
    """A few slots of memory, each with one frame; the memory has no name, so that nothing of it can stay behind.

    Args:
        width: columns that the host wants.
        height: rows that the host wants.
        decode: gives frame i as uint8 (H, W, 3) RGB of any size.

    Raises:
        OSError: no room for the memory.
    """

    def __init__(self, width: int, height: int, decode: Callable[[int], Frame]) -> None:
        self.slots = _SLOTS
        self.stride = -(-width * height * 4 // _PAGE) * _PAGE
        """Bytes from one slot to the next."""
        self.descriptor = _nameless()
        """What the host maps."""
        os.truncate(self.descriptor, self.stride * self.slots)
        self._memory = mmap.mmap(self.descriptor, self.stride * self.slots)
        self._pictures = [
            np.frombuffer(self._memory, np.uint8, width * height * 4, slot * self.stride).reshape(height, width * 4)
            for slot in range(self.slots)
        ]
        self._width, self._height, self._decode = width, height, decode
        self._scaler = VideoReformatter()
        self._held: dict[int, int] = {}  # frame -> slot, the one used last at the end

    def __contains__(self, index: int) -> bool:
        return index in self._held

    def forget(self) -> None:
        """Make all slots free, because frames will come out otherwise."""
        self._held.clear()

    def slot_of(self, index: int) -> int:
        """Return the slot that holds a frame, decoding it where none does.

        The slots named by the last 3 calls stay as they are.

        Raises:
            NervplayError: what the decoder raises.
        """
        slot = self._held.pop(index, None)
        if slot is None:
            frame = self._decode(index)
            slot = self._free()
            self._fill(slot, frame)
        self._held[index] = slot
        return slot

    def _free(self) -> int:
        """Return a slot that may be written to, the one unused longest where all hold frames."""
        free = set(range(self.slots)) - set(self._held.values())
        if free:
            return min(free)
        return self._held.pop(next(iter(self._held)))

    def _fill(self, slot: int, frame: Frame) -> None:
        """Write a frame into a slot."""
        picture = self._scaler.reformat(
            VideoFrame.from_numpy_buffer(frame, format="rgb24"),
            width=self._width,
            height=self._height,
            format="rgba",
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=_SCALING,
        )
        plane = picture.planes[0]
        lines = np.frombuffer(memoryview(plane), np.uint8, count=self._height * plane.line_size)
        np.copyto(self._pictures[slot], lines.reshape(self._height, plane.line_size)[:, : self._width * 4])

    def close(self) -> None:
        """Give the memory back."""
        self._pictures.clear()
        self._memory.close()
        os.close(self.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


def _nameless() -> int:
    """Return a descriptor of a file in memory, or on disk, that no folder lists."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("nervplay-frames")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
