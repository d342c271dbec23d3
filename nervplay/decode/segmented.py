"""A clip whose time is cut into segments, each with a network of its own: one decoder that opens them as needed.

Around a seam both networks may know the frames (`Segment.lead`, `Segment.tail`). There the picture moves over from one
to the other in equal steps: with n frames known to both, frame k = 0 .. n - 1 of them takes (k + 1) / (n + 1) of the
later network. Blending happens in float32, before rounding.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.layout import Segment
from nervplay.decode.base import plain_index
from nervplay.decode.buffers import deliver
from nervplay.decode.calibration import Progress
from nervplay.decode.decoder import Decoder
from nervplay.decode.frame_lock import FrameLock
from nervplay.decode.open_segments import OpenSegments
from nervplay.decode.planes import write_yuv
from nervplay.decode.prefetch import AheadDecoder
from nervplay.decode.rounding import round_frame
from nervplay.decode.stages import StageTime
from nervplay.errors import CapabilityError, UsageError
from nervplay.video.source import Frame, Planes
from nervplay.video.spec import VideoSpec

__all__ = ["SegmentedDecoder"]

_STEP = 4
"""Frames that one who plays the clip may go on by at a time; a jump further is none of these."""


class _Part(NamedTuple):
    """What a network contributes to a frame: its segment, the frame's place there, its share."""

    segment: int
    position: Fraction
    share: float


class SegmentedDecoder(AheadDecoder):
    """A `Decoder` (contract there) over the decoders of segments; at most three of these are open at a time.

    While frames follow each other, the next segment is opened in a thread from the middle of the one before, calibrated
    if need be, so that playing does not stand still at its first frame.

    Args:
        segments: in time order, without gaps.
        spec: the whole clip.
        open_segment: opens the decoder of a segment in a precision; its frames are those that its network knows. Its
            last argument is told (steps done, steps in all) of a calibration.
        precision: one of `PRECISIONS`.
        progress: told how far a calibration is that somebody waits for; maybe from another thread.

    Raises:
        CapabilityError: a precision that the backend does not have.
    """

    def __init__(
        self,
        segments: tuple[Segment, ...],
        spec: VideoSpec,
        open_segment: Callable[[int, str, Progress], Decoder],
        *,
        precision: str = "fp32",
        progress: Progress | None = None,
    ) -> None:
        super().__init__(spec, precision=precision)
        self._segments = segments
        self._open = OpenSegments(open_segment, progress)
        self._lock = FrameLock()  # of what is open, and of the frame that is made with it
        self._last_index = 0
        try:
            first = self._decoder(0)
        except BaseException:
            self._open.close()
            raise
        self._device, self._backend, self._note = first.device, first.backend, first.backend_note
        self._continuous = first.continuous_time

    @property
    def device(self) -> str:
        """Where it runs, as torch names it."""
        return self._device

    @property
    def backend(self) -> str:
        """The engine of the segments' decoders."""
        return self._backend

    @property
    def arithmetic(self) -> str:
        """What the decoder of the segment last used computes in."""
        newest = self._open.newest
        return newest.arithmetic if newest else super().arithmetic

    @property
    def continuous_time(self) -> bool:
        """Whether `frame_at` can give pictures between two frames."""
        return self._continuous

    def prepare(self, precision: str) -> None:
        """Make a precision ready in the segments that are open; the others do it when their turn comes.

        Raises:
            UnknownNameError: not one of `PRECISIONS`.
            CapabilityError: not available in this backend.
            UsageError: the decoder is closed.
        """
        self._check_precision(precision)
        with self._lock:
            decoders = self._open.all()
        for decoder in decoders:
            try:
                decoder.prepare(precision)
            except UsageError:  # frames went on, and it was closed for another segment
                self._check_open()

    def set_precision(self, precision: str) -> None:
        """Change the arithmetic; the next frame uses it.

        Raises:
            UnknownNameError: not one of `PRECISIONS`.
            CapabilityError: not available in this backend; the decoder stays as it was.
            UsageError: the decoder is closed.
        """
        self._check_precision(precision)
        with self._lock:
            for decoder in self._open.all():
                decoder.set_precision(precision)
            self._precision = precision
            self._changes += 1

    def frame(self, index: int, out: Frame | None = None) -> Frame:
        """Return frame `index` as uint8 (H, W, 3) RGB, in `out` when it is given.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed, or `out` does not fit.
        """
        with self._lock:
            parts = self._followed(index)
            if len(parts) == 1:
                return self._decoder(parts[0].segment).frame(int(parts[0].position), out)
            return deliver(round_frame(self._blended(parts)), out)

    def float_frame(self, index: int, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return frame `index` as float32 (3, H, W), before rounding and clipping, in `out` when it is given.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed, or `out` does not fit.
        """
        with self._lock:
            parts = self._followed(index)
            if len(parts) == 1:
                return self._decoder(parts[0].segment).float_frame(int(parts[0].position), out)
            return deliver(self._blended(parts), out)

    def yuv_frame(self, index: int, out: Planes) -> Planes:
        """Fill `out` with frame `index` as samples of YUV, and return it; see `Decoder.yuv_frame`."""
        with self._lock:
            parts = self._followed(index)
            if len(parts) == 1:
                return self._decoder(parts[0].segment).yuv_frame(int(parts[0].position), out)
            write_yuv(self._blended(parts), out, self._spec.colour)
        return out

    def frame_at(self, position: Fraction) -> Frame:
        """Return the picture at `position`, in frames, as uint8 (H, W, 3) RGB.

        Between the last frame of one segment and the first of the next, a network is asked that knows both.

        Raises:
            FrameIndexError: position outside 0 .. T - 1.
            CapabilityError: between frames, and the architecture is not continuous in time or no network knows both.
            UsageError: the decoder is closed.
        """
        self._check_position(position)
        if position.denominator == 1:
            return self.frame(int(position))
        before, after = self._parts(Fraction(int(position))), self._parts(Fraction(int(position) + 1))
        common = {part.segment for part in before} & {part.segment for part in after}
        if not common:
            raise CapabilityError(
                f"position {position} lies on the seam of two networks that have no frame in common; ask for a frame"
            )
        segment = min(common)
        with self._lock:
            return self._decoder(segment).frame_at(position - self._segments[segment].first_known)

    def stage_times(self, index: int = 0) -> tuple[StageTime, ...]:
        """Return the stages of the network whose frame it is, the first of two; see `Decoder.stage_times`."""
        part = self._parts(Fraction(plain_index(index)))[0]
        with self._lock:
            return self._decoder(part.segment).stage_times(int(part.position))

    def _followed(self, index: int) -> list[_Part]:
        """Return the networks that make a frame; opens the next one in advance where frames follow each other."""
        index = plain_index(index)
        parts = self._parts(Fraction(index))
        forward, self._last_index = 0 < index - self._last_index <= _STEP, index
        newest = parts[-1].segment
        segment = self._segments[newest]
        if forward and newest + 1 < len(self._segments) and 2 * (index - segment.first_frame) >= segment.frame_count:
            self._decoder(newest)  # the frame's own comes first
            self._open.ahead(newest + 1, self._precision)
        return parts

    def _parts(self, position: Fraction) -> list[_Part]:
        """Return the networks that make a frame, with shares that sum to 1, in time order."""
        self._check_position(position)
        knowing = [
            number
            for number, segment in enumerate(self._segments)
            if segment.first_known <= position < segment.first_known + segment.known_count
        ]
        places = [position - self._segments[number].first_known for number in knowing]
        if len(knowing) == 1:
            return [_Part(knowing[0], places[0], 1.0)]
        first, second = knowing  # no frame is known to three: the head was checked
        start = self._segments[second].first_known
        end = self._segments[first].first_known + self._segments[first].known_count
        share = float((position - start + 1) / (end - start + 1))
        return [_Part(first, places[0], 1 - share), _Part(second, places[1], share)]

    def _blended(self, parts: list[_Part]) -> NDArray[np.float32]:
        """Return the sum of the networks' pictures by their shares, float32 (3, H, W)."""
        total = np.zeros((3, self._spec.height, self._spec.width), np.float32)
        for part in parts:
            total += np.float32(part.share) * self._decoder(part.segment).float_frame(int(part.position))
        return total

    def _decoder(self, number: int) -> Decoder:
        """Return the decoder of a segment, opened if need be."""
        return self._open.get(number, self._precision)

    def close(self) -> None:
        """Close the decoders of all segments; idempotent. Waits for a frame that is being decoded."""
        super().close()
        self._open.interrupt()
        with self._lock:
            self._open.close()
