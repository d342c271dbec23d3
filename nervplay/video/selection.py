"""The words in which people name frames, sizes and rates: "0,5,10:20", "320x180", "30000/1001"."""

import re
from fractions import Fraction

from nervplay.errors import FrameIndexError, GeometryError, UsageError

__all__ = ["parse_frame_spans", "parse_frames", "parse_positions", "parse_range", "parse_rate", "parse_size"]

_TELEVISION = {
    f"{float(rate):.{digits}f}": rate
    for rate in (Fraction(1000 * whole, 1001) for whole in (24, 30, 48, 60, 120))
    for digits in (2, 3)
}


def parse_frames(text: str, frame_count: int) -> list[int]:
    """Return the frame indices that `text` names, in its order, repeats included; see `parse_frame_spans`."""
    return [index for span in parse_frame_spans(text, frame_count) for index in span]


def parse_frame_spans(text: str, frame_count: int) -> list[range]:
    """Return the frame indices that `text` names, in its order, repeats included.

    Args:
        text: indices and half-open ranges with commas between: "0,5,10:20", ":10", "120:", ":" for all.
        frame_count: number of frames of the clip.

    Raises:
        UsageError: text of another form, or a range that is empty or backward.
        FrameIndexError: a frame outside 0 .. frame_count - 1.
    """
    spans: list[range] = []
    for part in text.split(","):
        item = part.strip()
        if ":" in item:
            spans.append(range(*parse_range(item, frame_count)))
        elif re.fullmatch(r"[0-9]+", item):
            spans.append(range(_inside(int(item), frame_count), int(item) + 1))
        else:
            raise UsageError(f"'{item}' in '{text}' names no frames; write indices and half-open ranges: 0,5,10:20")
    return spans


def parse_positions(text: str, frame_count: int) -> list[Fraction]:
    """Return the positions in time that `text` names, in frames, in its order.

    Args:
        text: whole numbers, fractions and decimals with commas between: "3,7/2,10.25".
        frame_count: number of frames of the clip.

    Raises:
        UsageError: text of another form.
        FrameIndexError: a position outside 0 .. frame_count - 1.
    """
    positions = []
    for part in text.split(","):
        if re.fullmatch(r"\s*[0-9]+(\.[0-9]+|/0*[1-9][0-9]*)?\s*", part) is None:
            raise UsageError(f"'{part.strip()}' in '{text}' is no position; write frames as 3, 7/2 or 10.25")
        position = Fraction(part.strip())
        if position > frame_count - 1:
            raise FrameIndexError(position, frame_count)
        positions.append(position)
    return positions


def parse_range(text: str, frame_count: int) -> tuple[int, int]:
    """Return (first, end) of the half-open range "A:B"; a missing A is 0, a missing B is `frame_count`.

    Raises:
        UsageError: text of another form, or a range that is empty or backward.
        FrameIndexError: a frame of the range lies outside 0 .. frame_count - 1.
    """
    match = re.fullmatch(r"\s*([0-9]*):([0-9]*)\s*", text)
    if match is None:
        raise UsageError(f"'{text}' is no range of frames; write A:B, frames A to B - 1, either may be left out")
    first = int(match[1]) if match[1] else 0
    end = int(match[2]) if match[2] else frame_count
    _inside(first, frame_count)
    if first >= end:
        raise UsageError(f"range {text} holds no frame; A:B means frames A to B - 1, so B must be larger than A")
    _inside(end - 1, frame_count)
    return first, end


def parse_size(text: str) -> tuple[int, int]:
    """Return (width, height) in pixels of "WxH".

    Raises:
        UsageError: text of another form.
        GeometryError: a side of 0 pixels.
    """
    match = re.fullmatch(r"\s*([0-9]+)[xX×]([0-9]+)\s*", text)  # noqa: RUF001 - people paste the multiplication sign
    if match is None:
        raise UsageError(f"'{text}' is no size; write WIDTHxHEIGHT in pixels: 320x180")
    width, height = int(match[1]), int(match[2])
    if width == 0 or height == 0:
        raise GeometryError(f"size {text} holds no pixel; width and height must be at least 1")
    return width, height


def parse_rate(text: str) -> Fraction:
    """Return frames per second of "25", "30000/1001" or "12.5".

    The short forms of television's rates stand for these: "23.976" and "23.98" are 24000/1001, "29.97" is 30000/1001.

    Raises:
        UsageError: text of another form, or a rate that is not positive.
    """
    if re.fullmatch(r"\s*[0-9]+(\.[0-9]+|/0*[1-9][0-9]*)?\s*", text) is None or Fraction(text) <= 0:
        raise UsageError(f"'{text}' is no frame rate; write frames per second as 25, 12.5 or 30000/1001")
    return _TELEVISION.get(text.strip(), Fraction(text))


def _inside(index: int, frame_count: int) -> int:
    """Return `index` if the clip has that frame."""
    if not 0 <= index < frame_count:
        raise FrameIndexError(index, frame_count)
    return index
