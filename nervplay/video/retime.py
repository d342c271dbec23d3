"""A clip at another frame rate: at each moment the frame that was on the screen then."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

from nervplay.errors import FrameIndexError, UsageError
from nervplay.video.source import BaseSource, Frame, FrameSource, PlanarSource, Planes

__all__ = ["RetimedSource", "retimed"]


class RetimedSource(BaseSource):
    """A clip shown at another rate by repeating or dropping frames; its duration stays, to half a frame. Owns the clip.

    Frame k is frame floor(k * old rate / new rate) of the clip, the one shown at k / new rate seconds.

    Args:
        source: the clip.
        rate: frames per second.

    Raises:
        UsageError: a rate that is not positive.
    """

    def __init__(self, source: FrameSource, rate: Fraction) -> None:
        if rate <= 0:
            raise UsageError(f"{rate} frames per second show nothing; the rate must be positive")
        spec = source.spec
        self._step = spec.rate / rate
        count = max(1, int(spec.frame_count / self._step + Fraction(1, 2)))
        super().__init__(replace(spec, frame_count=count, rate=rate))
        self._source = source

    def frames(self, indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """Yield the frames at `indices`, each uint8 (H, W, 3) RGB; all when None. A repeated frame is read once.

        Raises:
            FrameIndexError: an index outside 0 .. len - 1.
        """
        wanted = [self._below(index) for index in (range(len(self)) if indices is None else indices)]
        changes = [index for place, index in enumerate(wanted) if place == 0 or index != wanted[place - 1]]
        below = iter(self._source.frames(changes))
        shown, frame = -1, None
        for index in wanted:
            if index != shown:
                frame = next(below, None)
                shown = index
            if frame is None:  # a source that was cancelled ends early, and so does this
                return
            yield frame.copy() if self._step < 1 else frame

    def _read(self, index: int) -> Frame:
        return self._source.frame(self._below(index))

    def _below(self, index: int) -> int:
        """Return the index in the clip."""
        if not 0 <= index < len(self):
            raise FrameIndexError(index, len(self))
        return min(int(index * self._step), len(self._source) - 1)

    def close(self) -> None:
        """Close the clip."""
        self._source.close()


class _PlanarRetimedSource(RetimedSource):
    """The same where no frame is repeated and the clip fills planes: so does this."""

    def __init__(self, source: PlanarSource, rate: Fraction) -> None:
        super().__init__(source, rate)
        self._planar = source

    def yuv_frame(self, index: int, out: Planes) -> Planes:
        """Fill `out` with frame `index`; see `PlanarSource.yuv_frame`."""
        return self._planar.yuv_frame(self._below(index), out)

    def yuv_frames(self, targets: Iterable[tuple[int, Planes]]) -> Iterator[Planes]:
        """Fill planes with frames, one after the other; see `PlanarSource.yuv_frames`."""
        return self._planar.yuv_frames((self._below(index), out) for index, out in targets)


def retimed(source: FrameSource, rate: Fraction) -> FrameSource:
    """Return a clip at another rate, see `RetimedSource`; a `PlanarSource` again where it was one and none is repeated.

    Args:
        source: the clip; the result owns it.
        rate: frames per second.

    Raises:
        UsageError: a rate that is not positive.
    """
    if isinstance(source, PlanarSource) and 0 < rate <= source.spec.rate:
        return _PlanarRetimedSource(source, rate)
    return RetimedSource(source, rate)
