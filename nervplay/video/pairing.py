"""Two clips shown as one."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from nervplay.errors import GeometryError, UnknownNameError
from nervplay.video.compose import GAIN, LAYOUTS
from nervplay.video.lettering import Label
from nervplay.video.source import BaseSource, Frame, FrameSource
from nervplay.video.spec import VideoSpec

__all__ = ["SideBySideSource"]


class SideBySideSource(BaseSource):
    """Two clips of one size and length, frame by frame in one picture; owns both.

    Rate, colour and sample aspect are those of the first clip.

    Args:
        left: the clip on the left (above, or the one compared with).
        right: the clip on the right (below).
        labels: a word for each clip, laid on its upper left corner; None for no words.
        layout: a key of `nervplay.video.compose.LAYOUTS`: "side-by-side", "stacked", "wipe" or "difference".
        caption: (index, first frame, second frame) -> words for the lower left corner of the picture; None for none.

    Raises:
        GeometryError: clips of different sizes or lengths.
        UnknownNameError: another layout.
    """

    def __init__(
        self,
        left: FrameSource,
        right: FrameSource,
        labels: tuple[str, str] | None = None,
        layout: str = "side-by-side",
        caption: Callable[[int, Frame, Frame], str] | None = None,
    ) -> None:
        if layout not in LAYOUTS:
            raise UnknownNameError("layout", layout, LAYOUTS)
        a, b = left.spec, right.spec
        if (a.width, a.height, a.frame_count) != (b.width, b.height, b.frame_count):
            raise GeometryError(
                f"clips of {a.width}x{a.height} with {a.frame_count} frames and {b.width}x{b.height} with "
                f"{b.frame_count} frames cannot be shown in one; crop, scale or cut one of them first"
            )
        width = a.width * (2 if layout == "side-by-side" else 1)
        height = a.height * (2 if layout == "stacked" else 1)
        super().__init__(replace(a, width=width, height=height))
        self._left, self._right, self._join, self._caption = left, right, LAYOUTS[layout], caption
        self._labels = _placed(labels, layout, a) if labels is not None else []

    def frames(self, indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """Yield the pictures at `indices`, each uint8 (H, W, 3) RGB; all when None.

        Raises:
            FrameIndexError: an index outside 0 .. len - 1.
        """
        wanted = range(len(self)) if indices is None else list(indices)
        # not strict: a cancelled decoder ends early
        for index, left, right in zip(wanted, self._left.frames(wanted), self._right.frames(wanted), strict=False):
            yield self._paint(index, left, right)

    def _read(self, index: int) -> Frame:
        return self._paint(index, self._left.frame(index), self._right.frame(index))

    def _paint(self, index: int, left: Frame, right: Frame) -> Frame:
        picture = np.ascontiguousarray(self._join(left, right))
        for label, top, column in self._labels:
            label.put(picture, top, column)
        if self._caption is not None:
            words = Label.for_frame(self._caption(index, left, right), left.shape[0])
            words.put(picture, picture.shape[0] - words.height)
        return picture

    def close(self) -> None:
        """Close both clips."""
        self._left.close()
        self._right.close()


def _placed(words: tuple[str, str], layout: str, spec: VideoSpec) -> list[tuple[Label, int, int]]:
    """Return labels, each with the row and column of the corner that it belongs in."""
    if layout == "difference":
        return [(Label.for_frame(f"|{words[0]} - {words[1]}| x {GAIN}", spec.height), 0, 0)]
    first, other = (Label.for_frame(word, spec.height) for word in words)
    corner = {
        "side-by-side": (0, spec.width),
        "stacked": (spec.height, 0),
        "wipe": (0, max(spec.width // 2, spec.width - other.width)),
    }
    return [(first, 0, 0), (other, *corner[layout])]
