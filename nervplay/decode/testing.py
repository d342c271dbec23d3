"""A decoder without a network, for tests and for work on the player: frames that can be recognised."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from nervplay.decode.base import DecoderBase, plain_index
from nervplay.decode.buffers import deliver
from nervplay.decode.planes import write_yuv
from nervplay.errors import UsageError
from nervplay.video.source import Frame, Planes
from nervplay.video.spec import VideoSpec

__all__ = ["FakeDecoder", "read_index"]

BITS = 16


class FakeDecoder(DecoderBase):
    """A deterministic `Decoder`: frame i is a gradient that moves with i, under a bar code of i in its top rows.

    All precisions give the same frames. `read_index` reads the bar code back, also after a lossy codec.

    Args:
        spec: the clip to pretend; at least 64 columns and 16 rows.

    Raises:
        UsageError: a frame too small for the bar code.
    """

    def __init__(self, spec: VideoSpec | None = None) -> None:
        super().__init__(spec or VideoSpec(width=128, height=72, frame_count=48, rate=Fraction(24)))
        if self._spec.width < 4 * BITS or self._spec.height < 16:
            raise UsageError(f"a fake clip of {self._spec.width}x{self._spec.height} is too small; take at least 64x16")

    @property
    def device(self) -> str:
        """Always "cpu"."""
        return "cpu"

    @property
    def backend(self) -> str:
        """Always "fake"."""
        return "fake"

    @property
    def continuous_time(self) -> bool:
        """Always: a picture between two frames shows the bar code of the earlier one."""
        return True

    def frame(self, index: int, out: Frame | None = None) -> Frame:
        """Return frame `index` as uint8 (H, W, 3) RGB, in `out` when it is given.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed, or `out` does not fit.
        """
        index = plain_index(index)
        self._check_position(index)
        rows, columns = np.mgrid[: self._spec.height, : self._spec.width]
        picture = np.stack([columns + 4 * index, rows + 2 * index, columns + rows], axis=2).astype(np.uint8)
        cell = self._spec.width // BITS
        for bit in range(BITS):
            picture[: self._spec.height // 4, bit * cell : (bit + 1) * cell] = 255 * (index >> bit & 1)
        return deliver(picture, out)

    def float_frame(self, index: int, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return frame `index` as float32 (3, H, W) in [0, 1], in `out` when it is given.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed, or `out` does not fit.
        """
        planes = np.ascontiguousarray(self.frame(index).transpose(2, 0, 1), dtype=np.float32) / np.float32(255)
        return deliver(planes, out)

    def yuv_frame(self, index: int, out: Planes) -> Planes:
        """Fill `out` with frame `index` as samples of YUV, and return it; see `Decoder.yuv_frame`."""
        write_yuv(self.float_frame(index), out, self._spec.colour)
        return out

    def frame_at(self, position: Fraction) -> Frame:
        """Return the frame at or before `position`, in frames, with its colours moved on by the rest.

        Raises:
            FrameIndexError: position outside 0 .. T - 1.
            UsageError: the decoder is closed.
        """
        self._check_position(position)
        picture = self.frame(int(position))
        picture[self._spec.height // 4 :] += np.uint8(4 * (position % 1))
        return picture

    def set_precision(self, precision: str) -> None:
        """Remember the precision.

        Raises:
            UnknownNameError: not one of `PRECISIONS`.
            UsageError: the decoder is closed.
        """
        self._check_precision(precision)
        self._precision = precision


def read_index(frame: Frame) -> int:
    """Return the index written into a fake frame.

    Args:
        frame: uint8 (H, W, 3), possibly through a codec, not scaled or cropped.
    """
    height, width, _ = frame.shape
    cell = width // BITS
    row = frame[height // 8, cell // 2 : BITS * cell : cell].mean(axis=1)
    return int(sum(1 << bit for bit in range(BITS) if row[bit] > 127))
