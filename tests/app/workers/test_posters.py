"""Posters are small whatever came; what is no WebP, damaged, or far too large is no picture."""

import io
import struct

import pytest
from PIL import Image

from app.workers.posters import POSTER_SIZE, read_poster


def webp(width: int, height: int, colour: tuple[int, int, int] = (200, 40, 40)) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(written, format="WEBP", quality=80)
    return written.getvalue()


def test_small_and_large(qapp) -> None:
    image = read_poster(webp(960, 540))
    assert (image.width(), image.height()) == (POSTER_SIZE.width(), POSTER_SIZE.height())
    assert abs(image.pixelColor(5, 5).red() - 200) < 8
    tall = read_poster(webp(300, 900))
    assert (tall.width(), tall.height()) == (60, 180)
    assert read_poster(webp(64, 36)).width() == 64


def huge() -> bytes:
    """A head that promises 16383 x 16383 pixels: a gigabyte."""
    frame = b"\x10\x02\x00\x9d\x01\x2a" + struct.pack("<HH", 16383, 16383) + b"\0" * 64
    body = b"WEBPVP8 " + struct.pack("<I", len(frame)) + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


PNG = io.BytesIO()
Image.new("RGB", (8, 8)).save(PNG, format="PNG")


@pytest.mark.parametrize("data", [b"", b"x" * 100, webp(64, 36)[:60], huge(), PNG.getvalue()])
def test_no_picture(qapp, data: bytes) -> None:
    assert read_poster(data).isNull()
