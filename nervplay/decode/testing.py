"""A decoder without a network, for tests and for work on the player: frames that can be recognised."""

import threading
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nervplay.decode.buffers import deliver
from nervplay.decode.decoder import PRECISIONS
from nervplay.errors import FrameIndexError, UnknownNameError, UsageError
from nervplay.video.source import Frame
from nervplay.video.spec import VideoSpec

__all__ = ["FakeDecoder", "read_index"]

BITS = 16


class FakeDecoder:
    """A deterministic `Decoder`: frame i is a gradient that moves with i, under a bar code of i in its top rows.

    All precisions give the same frames. `read_index` reads the bar code back, also after a lossy codec.

    Args:
        spec: the clip to pretend; at least 64 columns and 16 rows.

    Raises:
        UsageError: a frame too small for the bar code.
    """

    def __init__(self, spec: VideoSpec | None = None) -> None:
        self._spec = spec or VideoSpec(width=128, height=72, frame_count=48, rate=Fraction(24))
        if self._spec.width < 4 * BITS or self._spec.height < 16:
            raise UsageError(f"a fake clip of {self._spec.width}x{self._spec.height} is too small; take at least 64x16")
        self._precision = "fp32"
        self._closed = False
        self._cancelled = threading.Event()

    @property
    def spec(self) -> VideoSpec:
        """The clip that is pretended."""
        return self._spec

    @property
    def precision(self) -> str:
        """The last precision set."""
        return self._precision

    @property
    def device(self) -> str:
        """Always "cpu"."""
        return "cpu"

    @property
    def backend(self) -> str:
        """Always "fake"."""
        return "fake"

    @property
    def backend_note(self) -> str:
        """Nothing to say."""
        return ""

    @property
    def continuous_time(self) -> bool:
        """Always: a picture between two frames shows the bar code of the earlier one."""
        return True

    def __len__(self) -> int:
        return self._spec.frame_count

    def frame(self, index: int, out: Frame | None = None) -> Frame:
        """Return frame `index` as uint8 (H, W, 3) RGB, in `out` when it is given.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed, or `out` does not fit.
        """
        if self._closed:
            raise UsageError("the decoder is closed; open it again")
        if not 0 <= index < len(self):
            raise FrameIndexError(index, len(self))
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

    def frame_at(self, position: Fraction) -> Frame:
        """Return the frame at or before `position`, in frames, with its colours moved on by the rest.

        Raises:
            FrameIndexError: position outside 0 .. T - 1.
            UsageError: the decoder is closed.
        """
        if not 0 <= position <= len(self) - 1:
            raise FrameIndexError(position, len(self))
        picture = self.frame(int(position))
        picture[self._spec.height // 4 :] += np.uint8(4 * (position % 1))
        return picture

    def frames(self, indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """Yield the frames at `indices`, all frames when None; uint8 (H, W, 3) each.

        Raises:
            FrameIndexError: an index outside 0 .. T - 1, when its turn comes.
        """
        self._cancelled.clear()
        for index in range(len(self)) if indices is None else indices:
            if self._cancelled.is_set():
                return
            yield self.frame(index)

    def set_precision(self, precision: str) -> None:
        """Remember the precision.

        Raises:
            UnknownNameError: not one of `PRECISIONS`.
        """
        if precision not in PRECISIONS:
            raise UnknownNameError("precision", precision, PRECISIONS)
        self._precision = precision

    def cancel(self) -> None:
        """Make a running `frames` stop before its next frame."""
        self._cancelled.set()

    def close(self) -> None:
        """Refuse frames from now on; idempotent."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


def read_index(frame: Frame) -> int:
    """Return the index written into a fake frame.

    Args:
        frame: uint8 (H, W, 3), possibly through a codec, not scaled or cropped.
    """
    height, width, _ = frame.shape
    cell = width // BITS
    row = frame[height // 8, cell // 2 : BITS * cell : cell].mean(axis=1)
    return int(sum(1 << bit for bit in range(BITS) if row[bit] > 127))
