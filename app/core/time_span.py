"""Which part of a clip the timeline shows."""

__all__ = ["TimeSpan"]

_SHORTEST = 8
"""Frames that are visible at least."""


class TimeSpan:
    """First and last visible frame; the whole clip until it is zoomed, and again when the clip becomes shorter."""

    def __init__(self) -> None:
        self._span: tuple[int, int] | None = None

    def visible(self, frame_count: int) -> tuple[int, int]:
        """Return the first and the last visible frame, at least 1 apart.

        Args:
            frame_count: frames of the clip.
        """
        if self._span is None or self._span[1] > frame_count - 1:
            return 0, max(1, frame_count - 1)
        return self._span

    def zoom(self, frame: int, factor: float, frame_count: int) -> None:
        """Show a longer or shorter part; a frame stays where it is.

        Args:
            frame: the frame that stays; one that is not visible is brought into the middle.
            factor: length of the new part over that of the old one; below 1 zooms in.
            frame_count: frames of the clip.
        """
        first, last = self.visible(frame_count)
        whole = frame_count - 1
        width = max(_SHORTEST, min(whole, round((last - first) * factor)))
        if width >= whole:
            self._span = None
            return
        place = (frame - first) / max(1, last - first) if first <= frame <= last else 0.5
        start = min(whole - width, max(0, round(frame - place * width)))
        self._span = (start, start + width)
