"""Clips that lie in a folder as one picture per frame."""

import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from nervplay.errors import MissingInputError, UsageError, VideoInputError
from nervplay.video.source import BaseSource, Frame
from nervplay.video.spec import VideoSpec, default_colour

__all__ = ["PICTURE_SUFFIXES", "ImageFolderSource"]

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
"""Endings of files, in lower case, that count as frames; other files in the folder are passed over."""

_EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "La", "RGBa"})


class ImageFolderSource(BaseSource):
    """The pictures of a folder as frames; transparency is dropped, grey becomes RGB.

    Args:
        folder: where the pictures lie; PNG, JPEG, WebP, BMP or TIFF, all of one size, 8 bits per sample.
        rate: frames per second, which pictures do not say.
        order: "lexicographic" sorts names as text, like the loaders of the official repositories; "natural" puts
            frame2.png before frame10.png.

    Raises:
        MissingInputError: no such folder.
        VideoInputError: no picture in it, pictures of different sizes, or one that cannot be read.
        UsageError: the source is closed.
    """

    def __init__(
        self,
        folder: Path,
        rate: Fraction = Fraction(25),
        order: Literal["lexicographic", "natural"] = "lexicographic",
    ) -> None:
        if not folder.is_dir():
            raise MissingInputError(f"{folder} is no folder; give a folder of pictures or a video file")
        self._files = _sorted_pictures(folder.iterdir(), order)
        if not self._files:
            endings = " ".join(sorted(PICTURE_SUFFIXES))
            raise VideoInputError(f"{folder} holds no pictures; frames are files ending in {endings}")
        sizes = {path: _picture_size(path) for path in self._files}
        width, height = sizes[self._files[0]]
        for path, size in sizes.items():
            if size != (width, height):
                raise VideoInputError(
                    f"{path} is {size[0]}x{size[1]} but {self._files[0].name} is {width}x{height}; "
                    "all pictures of a clip must have one size"
                )
        super().__init__(
            VideoSpec(
                width=width, height=height, frame_count=len(self._files), rate=rate, colour=default_colour(height)
            )
        )

    def _read(self, index: int) -> Frame:
        if not self._files:
            raise UsageError("the folder of pictures is closed; open it again to read frames")
        path = self._files[index]
        try:
            with Image.open(path) as picture:
                frame = np.array(picture.convert("RGB"))
        except (OSError, ValueError, SyntaxError) as error:
            raise VideoInputError(f"frame {index}, {path}, cannot be read: {_first_line(error)}; replace it") from error
        if frame.shape != (self.spec.height, self.spec.width, 3):
            raise VideoInputError(f"frame {index}, {path}, has changed its size while in use; open the folder again")
        return frame

    def close(self) -> None:
        """Forget the files; reading is an error afterwards."""
        self._files = []


def _sorted_pictures(entries: Iterable[Path], order: str) -> list[Path]:
    """Return the visible picture files among `entries` in frame order."""
    pictures = [path for path in entries if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")]
    if order == "natural":
        return sorted(pictures, key=lambda path: ([_number(t) for t in re.split(r"([0-9]+)", path.name)], path.name))
    return sorted(pictures, key=lambda path: path.name)


def _number(text: str) -> tuple[int, str]:
    """Return a sort key: digits by value, other text by itself; the two alternate, so they never meet."""
    return (int(text), "") if text.isdigit() else (0, text)


def _picture_size(path: Path) -> tuple[int, int]:
    """Return (width, height) from the head of the file."""
    try:
        with Image.open(path) as picture:
            mode, size = picture.mode, picture.size
    except (OSError, ValueError, SyntaxError) as error:
        raise VideoInputError(f"{path} is no readable picture: {_first_line(error)}; replace or remove it") from error
    if mode not in _EIGHT_BIT_MODES:
        raise VideoInputError(f"{path} has pixels of kind {mode}; save it with 8 bits per sample")
    return size


def _first_line(error: BaseException) -> str:
    """Return the first line of an error's own words."""
    return (str(error) or type(error).__name__).splitlines()[0]
