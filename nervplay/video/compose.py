"""Pictures made of pictures: two clips beside each other, their difference, contact sheets."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from nervplay.errors import GeometryError, UsageError
from nervplay.video.lettering import font
from nervplay.video.source import Frame

__all__ = ["GAIN", "LAYOUTS", "contact_sheet", "difference", "side_by_side", "stacked", "wipe"]

GAIN = 4
"""Factor of `difference` when none is given."""

_BACKGROUND = (20, 22, 26)
_LETTERS = (236, 238, 242)
_FAINT = (150, 156, 166)


def side_by_side(left: Frame, right: Frame) -> Frame:
    """Return two pictures of one size next to each other: uint8 (H, 2 W, 3) RGB.

    Raises:
        GeometryError: pictures of different sizes.
    """
    _same_size(left, right)
    return np.concatenate((left, right), axis=1)


def stacked(upper: Frame, lower: Frame) -> Frame:
    """Return two pictures of one size above each other: uint8 (2 H, W, 3) RGB.

    Raises:
        GeometryError: pictures of different sizes.
    """
    _same_size(upper, lower)
    return np.concatenate((upper, lower), axis=0)


def wipe(left: Frame, right: Frame) -> Frame:
    """Return the left half of one picture and the right half of another with a line between: uint8 (H, W, 3) RGB.

    Raises:
        GeometryError: pictures of different sizes.
    """
    _same_size(left, right)
    columns = left.shape[1]
    middle, line = columns // 2, max(1, columns // 640)
    picture = np.concatenate((left[:, :middle], right[:, middle:]), axis=1)
    picture[:, middle : middle + line] = _LETTERS
    return picture


def difference(a: Frame, b: Frame, gain: int = GAIN) -> Frame:
    """Return how far two pictures are apart: uint8 (H, W, 3), min(255, gain * |a - b|) per sample; black where equal.

    Args:
        a: uint8 (H, W, 3) RGB.
        b: uint8 (H, W, 3) RGB.
        gain: factor that makes small errors visible, at least 1.

    Raises:
        GeometryError: pictures of different sizes.
        UsageError: a gain below 1.
    """
    _same_size(a, b)
    if gain < 1:
        raise UsageError(f"gain {gain} of a difference picture would hide errors; it must be at least 1")
    apart = (np.maximum(a, b) - np.minimum(a, b)).astype(np.int32)
    return np.minimum(apart * gain, 255).astype(np.uint8)


LAYOUTS: dict[str, Callable[[Frame, Frame], Frame]] = {
    "side-by-side": side_by_side,
    "stacked": stacked,
    "wipe": wipe,
    "difference": difference,
}
"""Ways to show two clips in one, by the name that the command line uses."""


def contact_sheet(
    rows: Mapping[str, Sequence[Frame]], headings: Sequence[str], *, tile_width: int = 320, title: str = ""
) -> Frame:
    """Return a sheet of pictures: one row per clip with its label on the left, one column per heading.

    Args:
        rows: label -> pictures, uint8 (H, W, 3) RGB each; a label may have several lines. All tiles take the shape of
            the first picture; pictures of another size are scaled to it.
        headings: words above the columns, such as "frame 12"; one for every picture of a row.
        tile_width: columns of a tile, in pixels.
        title: a line above everything; none when empty.

    Returns:
        uint8 (H', W', 3) RGB.

    Raises:
        UsageError: no rows, no columns, or a row with another number of pictures than there are headings.
    """
    if not rows or not headings or tile_width < 1:
        raise UsageError("a contact sheet needs at least one row, one column and tiles of at least one pixel")
    for label, frames in rows.items():
        if len(frames) != len(headings):
            raise UsageError(f"row '{label}' has {len(frames)} pictures for {len(headings)} headings; give as many")
    first = next(iter(rows.values()))[0]
    tile = (tile_width, max(1, round(first.shape[0] * tile_width / first.shape[1])))
    sheet = _Sheet(list(rows), len(headings), tile, title)
    for column, heading in enumerate(headings):
        sheet.heading(column, heading)
    for row, frames in enumerate(rows.values()):
        for column, frame in enumerate(frames):
            sheet.picture(row, column, frame)
    return np.array(sheet.image)


class _Sheet:
    """Where everything goes on a contact sheet; draws title and row labels at once."""

    def __init__(self, labels: list[str], columns: int, tile: tuple[int, int], title: str) -> None:
        size = max(11, tile[0] // 18)
        self._font, self._tile = font(size), tile
        self._gap, margin = max(4, tile[0] // 32), 2 * size
        title_font = font(round(1.5 * size))
        measure = ImageDraw.Draw(Image.new("L", (1, 1)))
        boxes = [measure.multiline_textbbox((0, 0), label, self._font, spacing=size // 2) for label in labels]
        self._left = margin + round(max(box[2] for box in boxes)) + margin
        self._top = margin + (3 * size if title else 0) + 2 * size
        width = self._left + columns * (tile[0] + self._gap) - self._gap + margin
        if title:
            width = max(width, 2 * margin + round(measure.textlength(title, title_font)))
        height = self._top + len(labels) * (tile[1] + self._gap) - self._gap + margin
        self.image = Image.new("RGB", (width, height), _BACKGROUND)
        self._draw = ImageDraw.Draw(self.image)
        if title:
            self._draw.text((margin, margin), title, _LETTERS, title_font, anchor="lt")
        for row, label in enumerate(labels):
            middle = self._top + row * (tile[1] + self._gap) + tile[1] // 2
            self._draw.multiline_text((margin, middle), label, _LETTERS, self._font, anchor="lm", spacing=size // 2)

    def heading(self, column: int, text: str) -> None:
        """Write the words above a column."""
        x = self._left + column * (self._tile[0] + self._gap)
        self._draw.text((x, self._top - self._gap), text, _FAINT, self._font, anchor="ls")

    def picture(self, row: int, column: int, frame: Frame) -> None:
        """Put a picture in its place."""
        picture = Image.fromarray(frame)
        if picture.size != self._tile:
            picture = picture.resize(self._tile, Image.Resampling.LANCZOS)
        x = self._left + column * (self._tile[0] + self._gap)
        self.image.paste(picture, (x, self._top + row * (self._tile[1] + self._gap)))


def _same_size(a: Frame, b: Frame) -> None:
    if a.shape != b.shape:
        raise GeometryError(
            f"pictures of {a.shape[1]}x{a.shape[0]} and {b.shape[1]}x{b.shape[0]} cannot be put together; scale one"
        )
