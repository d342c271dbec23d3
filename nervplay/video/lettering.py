"""Words in pictures, in Pillow's built-in font: nothing to install, the same letters everywhere."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from nervplay.errors import UsageError
from nervplay.video.source import Frame

__all__ = ["Label", "font"]

_SMALLEST = 10
_PLATE_OPACITY = 0.6


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's built-in font with letters `size` pixels high."""
    return ImageFont.load_default(size)


@dataclass(frozen=True, eq=False)
class Label:
    """A word on a dark plate, drawn once and laid on many frames.

    Args:
        picture: float32 (h, w, 1) in [0, 255], letters and plate, already weighted by their opacity.
        clear: float32 (h, w, 1) in [0, 1], how much of the frame shines through.
        margin: pixels between the plate and the frame's edges.
    """

    picture: NDArray[np.float32]
    clear: NDArray[np.float32]
    margin: int

    @classmethod
    def for_frame(cls, text: str, height: int) -> "Label":
        """Return a label for frames of `height` rows; its letters are a twenty-fourth of that, 10 pixels at least.

        Raises:
            UsageError: no text.
        """
        if not text.strip():
            raise UsageError("a label is empty; give it a word or leave labels out")
        size = max(_SMALLEST, height // 24)
        pad = max(2, size // 3)
        letters = font(size)
        left, _, right, _ = letters.getbbox(text)
        _, top, _, bottom = letters.getbbox("Ag")  # one height for all words
        plate = Image.new("L", (round(right - left) + 3 * pad, round(bottom - top) + 2 * pad))
        ImageDraw.Draw(plate).text((1.5 * pad - left, pad - top), text, fill=255, font=letters)
        ink = np.asarray(plate, np.float32)[..., None]
        clear = (np.float32(1) - ink / np.float32(255)) * np.float32(1 - _PLATE_OPACITY)
        return cls(ink, clear, max(2, size // 2))

    @property
    def height(self) -> int:
        """Rows that the label takes, margins included."""
        return int(self.picture.shape[0]) + 2 * self.margin

    @property
    def width(self) -> int:
        """Columns that the label takes, margins included."""
        return int(self.picture.shape[1]) + 2 * self.margin

    def put(self, frame: Frame, top: int = 0, left: int = 0) -> None:
        """Lay the label on `frame` in place; what does not fit is cut off.

        Args:
            frame: uint8 (H, W, 3) RGB; changed.
            top: row of the corner that the label keeps its margin from.
            left: column of that corner.
        """
        rows, columns = self.picture.shape[:2]
        window = frame[top + self.margin :, left + self.margin :][:rows, :columns]
        rows, columns = window.shape[:2]
        window[:] = window * self.clear[:rows, :columns] + self.picture[:rows, :columns] + np.float32(0.5)
