"""Posters of strangers: bytes to a small picture, within bounds. Runs on threads of `NetworkWork`."""

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QSize, Qt
from PySide6.QtGui import QImage, QImageReader

__all__ = ["POSTER_SIZE", "read_poster"]

POSTER_SIZE = QSize(320, 180)
"""Posters are kept no larger than this."""

_MOST_PIXELS = 16_000_000
"""A poster of ours has half a million; one with more is not decoded at all."""


def read_poster(data: bytes) -> QImage:
    """Return a WebP picture no larger than `POSTER_SIZE`; a null one where it is damaged, too large, or no WebP.

    Args:
        data: from the Hub, at most 200 kB, not to be trusted.
    """
    buffer = QBuffer()
    buffer.setData(QByteArray(data))
    buffer.open(QIODevice.OpenModeFlag.ReadOnly)
    reader = QImageReader(buffer, QByteArray(b"webp"))
    reader.setAutoDetectImageFormat(False)
    size = reader.size()
    if not size.isValid() or size.width() * size.height() > _MOST_PIXELS:
        return QImage()
    if size.width() > POSTER_SIZE.width() or size.height() > POSTER_SIZE.height():
        reader.setScaledSize(size.scaled(POSTER_SIZE, Qt.AspectRatioMode.KeepAspectRatio))
    return reader.read()
