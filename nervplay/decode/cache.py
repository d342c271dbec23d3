"""Decoded frames that are kept: a decoder in front of another one, with a budget in bytes.

Steps back, loops and comparisons ask for the same frames again. What was asked for longest ago goes first.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from nervplay.decode.base import DecoderBase, plain_index
from nervplay.decode.buffers import deliver
from nervplay.decode.decoder import Decoder
from nervplay.decode.stages import StageTime
from nervplay.errors import UsageError
from nervplay.video.source import Frame, Planes

__all__ = ["CachedDecoder", "check_cache"]


def check_cache(budget: int) -> None:
    """Raise `UsageError` for a negative number of bytes."""
    if budget < 0:
        raise UsageError(f"{budget} bytes of cache; give 0 or more")


class CachedDecoder(DecoderBase):
    """A `Decoder` (contract there) that keeps the 8-bit frames of another one, per precision.

    Floats, samples of YUV and pictures between frames are passed through. Closing it closes the other decoder. Any
    thread may change the precision while another one takes frames, where the other decoder allows that.

    Args:
        decoder: where frames come from; used through this one only from now on.
        budget: most bytes of frames to keep; a frame larger than that is never kept.

    Raises:
        UsageError: a negative budget.
    """

    def __init__(self, decoder: Decoder, budget: int) -> None:
        check_cache(budget)
        super().__init__(decoder.spec)
        self._decoder = decoder
        self._budget = budget
        self._kept: OrderedDict[tuple[str, int], Frame] = OrderedDict()
        self._lock = threading.Lock()  # of what is kept
        self._changes = 0

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
        with self._lock:
            return self._total()

    def _total(self) -> int:
        return sum(frame.nbytes for frame in self._kept.values())

    def frame(self, index: int, out: Frame | None = None) -> Frame:
        """Return frame `index` as uint8 (H, W, 3) RGB, in `out` when it is given.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed, or `out` does not fit.
        """
        index = plain_index(index)
        self._check_position(index)
        kept = self._get(index)
        if kept is not None:
            return kept.copy() if out is None else deliver(kept, out)
        changes = self._changes
        frame = self._decoder.frame(index, out)
        self._keep(index, frame, changes)
        return frame

    def frames(self, indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """Yield the frames at `indices` in that order; those that are not kept come in streams of the other decoder.

        Raises:
            FrameIndexError: an index outside 0 .. T - 1, when its turn comes.
            UsageError: the decoder is closed.
        """
        self._cancelled.clear()
        following = map(plain_index, range(len(self)) if indices is None else indices)
        while not self._cancelled.is_set() and (index := next(following, None)) is not None:
            self._check_position(index)
            kept = self._get(index)
            if kept is not None:
                yield kept.copy()
                continue
            yield from self._stream(index, following)

    def _stream(self, first: int, following: Iterator[int]) -> Iterator[Frame]:
        """Yield frames of the other decoder from `first` on, up to one that is kept, and that one."""
        asked: deque[int] = deque()
        kept: list[Frame] = []

        def missing() -> Iterator[int]:
            for index in chain([first], following):
                frame = self._get(index)
                if frame is not None:
                    kept.append(frame)
                    return
                asked.append(index)
                yield index

        changes = self._changes
        for frame in self._decoder.frames(missing()):
            self._keep(asked.popleft(), frame, changes)
            if self._cancelled.is_set():
                return
            yield frame
            changes = self._changes
        if not self._cancelled.is_set():
            yield from (frame.copy() for frame in kept)

    def _get(self, index: int) -> Frame | None:
        """Return a frame that is kept in the present precision; the one that was asked for last, from now on."""
        with self._lock:
            key = (self._decoder.precision, index)
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, index: int, frame: Frame, changes: int) -> None:
        """Keep a copy, the caller's frame being the caller's, and drop what no longer fits.

        Args:
            index: of the frame.
            frame: uint8 (H, W, 3).
            changes: `_changes` when it was asked for: of a precision that changed meanwhile nobody knows which it has.
        """
        with self._lock:
            if frame.nbytes > self._budget or changes != self._changes:
                return
            self._kept[self._decoder.precision, index] = frame.copy()
            total = self._total()
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
        self._decoder.prepare(precision)  # frames that are kept can be had meanwhile
        with self._lock:
            self._changes += 1
            self._decoder.set_precision(precision)

    def cancel(self) -> None:
        """Make a running `frames` or `yuv_frames` stop before its next frame; callable from any thread."""
        super().cancel()
        self._decoder.cancel()

    def close(self) -> None:
        """Forget all frames and close the decoder behind; idempotent."""
        super().close()
        with self._lock:
            self._kept.clear()
        self._decoder.close()
