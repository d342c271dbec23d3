"""Decoded frames that are kept: a decoder in front of another one, with a budget in bytes.

Steps back, loops and comparisons ask for the same frames again. What was asked for longest ago goes first.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from nervplay.decode.base import DecoderBase
from nervplay.decode.buffers import deliver
from nervplay.decode.decoder import Decoder
from nervplay.decode.stages import StageTime
from nervplay.errors import UsageError
from nervplay.video.source import Frame, Planes

__all__ = ["CachedDecoder"]


class CachedDecoder(DecoderBase):
    """A `Decoder` (contract there) that keeps the 8-bit frames of another one, per precision.

    Floats, samples of YUV and pictures between frames are passed through. Closing it closes the other decoder.

    Args:
        decoder: where frames come from; used through this one only from now on.
        budget: most bytes of frames to keep; a frame larger than that is never kept.

    Raises:
        UsageError: a negative budget.
    """

    def __init__(self, decoder: Decoder, budget: int) -> None:
        if budget < 0:
            raise UsageError(f"{budget} bytes of cache; give 0 or more")
        super().__init__(decoder.spec)
        self._decoder = decoder
        self._budget = budget
        self._kept: OrderedDict[tuple[str, int], Frame] = OrderedDict()

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
    def arithmetic(self) -> str:
        """What the decoder behind it computes in."""
        return self._decoder.arithmetic

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

    def frame(self, index: int, out: Frame | None = None) -> Frame:
        """Return frame `index` as uint8 (H, W, 3) RGB, in `out` when it is given.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed, or `out` does not fit.
        """
        self._check_position(index)
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

    def yuv_frame(self, index: int, out: Planes) -> Planes:
        """Fill `out` with frame `index` as samples of YUV, and return it; see `Decoder.yuv_frame`."""
        return self._decoder.yuv_frame(index, out)

    def yuv_frames(self, targets: Iterable[tuple[int, Planes]]) -> Iterator[Planes]:
        """Fill planes with frames, one after the other; see `Decoder.yuv_frames`."""
        return self._decoder.yuv_frames(targets)

    def frame_at(self, position: Fraction) -> Frame:
        """Return the picture at a position between frames; see `Decoder.frame_at`."""
        return self.frame(int(position)) if position.denominator == 1 else self._decoder.frame_at(position)

    def stage_times(self, index: int = 0) -> tuple[StageTime, ...]:
        """Return how long each stage of a frame takes; see `Decoder.stage_times`."""
        return self._decoder.stage_times(index)

    def prepare(self, precision: str) -> None:
        """Make a precision ready in the decoder behind; see `Decoder.prepare`."""
        self._decoder.prepare(precision)

    def set_precision(self, precision: str) -> None:
        """Change the arithmetic; frames of the other precisions are kept."""
        self._decoder.set_precision(precision)

    def cancel(self) -> None:
        """Make a running `frames` or `yuv_frames` stop before its next frame; callable from any thread."""
        super().cancel()
        self._decoder.cancel()

    def close(self) -> None:
        """Forget all frames and close the decoder behind; idempotent."""
        super().close()
        self._kept.clear()
        self._decoder.close()
