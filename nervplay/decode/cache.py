"""Decoded frames that are kept: a decoder in front of another one, with a budget in bytes.

Steps back, loops and comparisons ask for the same frames again. What was asked for longest ago goes first.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nervplay.decode.buffers import deliver
from nervplay.decode.decoder import Decoder
from nervplay.errors import FrameIndexError, UsageError
from nervplay.video.source import Frame
from nervplay.video.spec import VideoSpec

__all__ = ["CachedDecoder"]


class CachedDecoder:
    """A `Decoder` (contract there) that keeps the 8-bit frames of another one, per precision.

    Floats and pictures between frames are passed through. Closing it closes the other decoder.

    Args:
        decoder: where frames come from; used through this one only from now on.
        budget: most bytes of frames to keep; a frame larger than that is never kept.

    Raises:
        UsageError: a negative budget.
    """

    def __init__(self, decoder: Decoder, budget: int) -> None:
        if budget < 0:
            raise UsageError(f"{budget} bytes of cache; give 0 or more")
        self._decoder = decoder
        self._budget = budget
        self._kept: OrderedDict[tuple[str, int], Frame] = OrderedDict()
        self._cancelled = threading.Event()
        self._closed = False

    @property
    def spec(self) -> VideoSpec:
        """Size, frame count, rate and colour of what comes out."""
        return self._decoder.spec

    @property
    def precision(self) -> str:
        """Arithmetic in use."""
        return self._decoder.precision

    @property
    def device(self) -> str:
        """Where the decoder behind it runs."""
        return self._decoder.device

    @property
    def backend(self) -> str:
        """The engine of the decoder behind it."""
        return self._decoder.backend

    @property
    def backend_note(self) -> str:
        """The note of the decoder behind it."""
        return self._decoder.backend_note

    @property
    def continuous_time(self) -> bool:
        """Whether `frame_at` can give pictures between two frames."""
        return self._decoder.continuous_time

    @property
    def kept_bytes(self) -> int:
        """Bytes of all frames that are kept."""
        return sum(frame.nbytes for frame in self._kept.values())

    def __len__(self) -> int:
        return len(self._decoder)

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
        key = (self._decoder.precision, index)
        kept = self._kept.get(key)
        if kept is None:
            frame = self._decoder.frame(index, out)
            self._keep(key, frame)
            return frame
        self._kept.move_to_end(key)
        return kept.copy() if out is None else deliver(kept, out)

    def _keep(self, key: tuple[str, int], frame: Frame) -> None:
        """Keep a copy, the caller's frame being the caller's, and drop what no longer fits."""
        if frame.nbytes > self._budget:
            return
        self._kept[key] = frame.copy()
        total = self.kept_bytes
        while total > self._budget:
            total -= self._kept.popitem(last=False)[1].nbytes

    def float_frame(self, index: int, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return frame `index` as float32 (3, H, W), before rounding; see `Decoder.float_frame`."""
        return self._decoder.float_frame(index, out)

    def frame_at(self, position: Fraction) -> Frame:
        """Return the picture at a position between frames; see `Decoder.frame_at`."""
        return self.frame(int(position)) if position.denominator == 1 else self._decoder.frame_at(position)

    def frames(self, indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """Yield the frames at `indices` in that order, all frames when None; uint8 (H, W, 3) each.

        Raises:
            FrameIndexError: an index outside 0 .. T - 1, when its turn comes.
            UsageError: the decoder is closed.
        """
        self._cancelled.clear()
        for index in range(len(self)) if indices is None else indices:
            if self._cancelled.is_set():
                return
            yield self.frame(index)

    def set_precision(self, precision: str) -> None:
        """Change the arithmetic; frames of the other precisions are kept."""
        self._decoder.set_precision(precision)

    def cancel(self) -> None:
        """Make a running `frames` stop before its next frame; callable from any thread."""
        self._cancelled.set()
        self._decoder.cancel()

    def close(self) -> None:
        """Forget all frames and close the decoder behind; idempotent."""
        self._closed = True
        self._kept.clear()
        self._decoder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()
