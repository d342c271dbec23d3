"""Pictures as Qt takes them: images over the arrays, without a copy, and computed pictures made once per frame."""

import numpy as np
from PySide6.QtGui import QImage

from app.core.cache import Picture
from app.core.pictures import HEAT, amplified_difference, same_size, signed_difference
from app.core.view import DERIVED, Mode

__all__ = ["ComputedPicture", "wrap"]

_HEAT_TABLE = [int(colour) for colour in HEAT]


def wrap(picture: Picture) -> QImage:
    """Return an image over a picture's memory; the caller keeps the array as long as the image lives.

    Args:
        picture: uint8 (H, W, 4), C-contiguous.
    """
    height, width, _ = picture.shape
    return QImage(picture.data, width, height, 4 * width, QImage.Format.Format_RGBX8888)


class ComputedPicture:
    """The difference picture of the mode in use; computed again only when mode, gain or pictures change."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._pair: tuple[Picture, Picture] | None = None
        self._buffer: Picture | None = None
        self._image: QImage | None = None

    def image(self, mode: Mode, gain: int, a: Picture | None, b: Picture | None) -> QImage | None:
        """Return the picture of a mode, None where A and B cannot be compared.

        Args:
            mode: one of `DERIVED`.
            gain: factor on the difference.
            a: uint8 (H, W, 4) or None.
            b: uint8 (H, W, 4) or None.
        """
        assert mode in DERIVED
        if a is None or b is None or not same_size(a, b):
            return None
        same = self._pair is not None and self._pair[0] is a and self._pair[1] is b
        if same and self._key == (mode, gain):
            return self._image
        if self._buffer is None or self._buffer.shape != a.shape:
            self._buffer = np.empty_like(a)
        compute = signed_difference if mode is Mode.SIGNED else amplified_difference
        image = wrap(compute(a, b, gain, self._buffer))
        if mode is Mode.HEAT:
            image = image.convertToFormat(QImage.Format.Format_Grayscale8)
            # the same bytes, read as places in the table of colours
            image.reinterpretAsFormat(QImage.Format.Format_Indexed8)
            image.setColorTable(_HEAT_TABLE)
        self._pair, self._key, self._image = (a, b), (mode, gain), image
        return image
