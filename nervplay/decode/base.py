"""What all decoders share: the clip's facts, streams that can be cancelled, the end. See `Decoder` for the contract."""

import operator
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Self

from nervplay.choices import PRECISIONS
from nervplay.decode.stages import ROUNDS, StageTime, best_of
from nervplay.errors import FrameIndexError, UnknownNameError, UsageError
from nervplay.video.source import Frame, Planes
from nervplay.video.spec import VideoSpec

__all__ = ["DecoderBase", "plain_index"]


def plain_index(index: int) -> int:
    """Return a frame's index as an int: NumPy's small integers overflow, and tensors take them, and bools, for masks.

    Raises:
        TypeError: not a whole number.
    """
    return int(operator.index(index))


class DecoderBase(ABC):
    """The half of a `Decoder` that does not depend on what computes the frames.

    Args:
        spec: the clip that comes out.
        precision: arithmetic in use at first.
        note: what a user should know of the backend, in one line.
    """

    def __init__(self, spec: VideoSpec, *, precision: str = "fp32", note: str = "") -> None:
        self._spec = spec
        self._precision = precision
        self._note = note
        self._closed = False
        self._cancelled = threading.Event()

    @property
    def spec(self) -> VideoSpec:
        """Size, frame count, rate and colour of what comes out."""
        return self._spec

    @property
    def precision(self) -> str:
        """Arithmetic in use."""
        return self._precision

    @property
    def arithmetic(self) -> str:
        """What most products are computed in: what the precision is called, unless a backend says otherwise."""
        return self._precision.upper()

    @property
    def backend_note(self) -> str:
        """What a user should know of the backend, in one line, or nothing."""
        return self._note

    def __len__(self) -> int:
        return self._spec.frame_count

    @abstractmethod
    def frame(self, index: int, out: Frame | None = None) -> Frame:
        """Return frame `index` as uint8 (H, W, 3) RGB, in `out` when it is given.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed, or `out` does not fit.
        """

    @abstractmethod
    def yuv_frame(self, index: int, out: Planes) -> Planes:
        """Fill `out` with frame `index` as samples of YUV, and return it; see `Decoder.yuv_frame`."""

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

    def yuv_frames(self, targets: Iterable[tuple[int, Planes]]) -> Iterator[Planes]:
        """Fill planes with frames, one after the other; see `Decoder.yuv_frames`."""
        self._cancelled.clear()
        for index, planes in targets:
            if self._cancelled.is_set():
                return
            yield self.yuv_frame(index, planes)

    def prepare(self, precision: str) -> None:
        """Check the name of a precision: nothing is prepared here; see `Decoder.prepare`."""
        self._check_precision(precision)

    def stage_times(self, index: int = 0) -> tuple[StageTime, ...]:
        """Return the time of a whole frame, which is all that is known here; see `Decoder.stage_times`."""
        rounds = []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            self.frame(index)
            rounds.append([StageTime("frame", 1000 * (time.perf_counter() - begin))])
        return best_of(rounds)

    def cancel(self) -> None:
        """Make a running `frames` or `yuv_frames` stop before its next frame; callable from any thread."""
        self._cancelled.set()

    def close(self) -> None:
        """Refuse frames from now on; idempotent. Who holds weights or other decoders frees them here, too."""
        self._closed = True

    def _check_open(self) -> None:
        """Raise `UsageError` after `close`."""
        if self._closed:
            raise UsageError("the decoder is closed; open it again")

    def _check_position(self, position: int | Fraction) -> None:
        """Raise `UsageError` after `close`, `FrameIndexError` for a position, in frames, outside 0 .. T - 1."""
        self._check_open()
        if not 0 <= position <= len(self) - 1:
            raise FrameIndexError(position, len(self))

    def _check_precision(self, precision: str) -> None:
        """Raise `UnknownNameError` for a name that is not one of `PRECISIONS`, `UsageError` after `close`."""
        if precision not in PRECISIONS:
            raise UnknownNameError("precision", precision, PRECISIONS)
        self._check_open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()
