"""Crop, scale and range of a clip: how a source is cut before a network sees it, and how that is written down."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from nervplay.errors import FrameIndexError, GeometryError, UsageError
from nervplay.plain import plain_numbers
from nervplay.video.source import BaseSource, Frame, FrameSource, PlanarSource, Planes
from nervplay.video.spec import VideoSpec

__all__ = ["FrameTransform", "matched"]


@dataclass(frozen=True, kw_only=True)
class FrameTransform:
    """Frame range, then centre crop, then resize; None leaves a step out.

    Args:
        crop: (W, H) in pixels, cut from the middle: top = round((h - H) / 2) with Python's rounding of halves to even,
            left alike; that is the centre crop of torchvision, which the official loaders call.
        scale: (W, H) in pixels, by Pillow's Lanczos filter in integers.
        frames: (A, B), the half-open range of frames A .. B - 1.

    Raises:
        GeometryError: a side that is not at least 1.
        UsageError: a range that is negative, empty or backward.
    """

    crop: tuple[int, int] | None = None
    scale: tuple[int, int] | None = None
    frames: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        plain_numbers(self)
        for name, size in (("crop", self.crop), ("scale", self.scale)):
            if size is not None and min(size) < 1:
                raise GeometryError(f"{name} {size[0]}x{size[1]} holds no pixel; width and height must be at least 1")
        if self.frames is not None and not 0 <= self.frames[0] < self.frames[1]:
            first, end = self.frames
            raise UsageError(f"frames {first}:{end} hold no frame; A:B means frames A to B - 1, 0 <= A < B")

    def apply(self, source: FrameSource) -> FrameSource:
        """Return `source` cut this way; `source` itself when nothing is to be done.

        The result owns the source: closing it closes both. The sample aspect follows the scale, so that the shape of
        the picture on the screen stays; colour is that of the clip as it was distributed. With a range alone, a
        `PlanarSource` stays one.

        Raises:
            GeometryError: the crop is larger than a frame.
            FrameIndexError: the range goes past the last frame.
        """
        if self == FrameTransform():
            return source
        if isinstance(source, PlanarSource) and self == FrameTransform(frames=self.frames):
            return _PlanarRange(source, self)
        return _TransformedSource(source, self)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-plain dict: "crop", "scale" and "frames", each a list of two integers or None."""
        return {
            name: None if value is None else list(value)
            for name, value in (("crop", self.crop), ("scale", self.scale), ("frames", self.frames))
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "FrameTransform":
        """Return the transform that `to_json` wrote.

        Raises:
            UsageError: another key, or a value that is neither None nor two integers.
        """
        if unknown := sorted(data.keys() - {"crop", "scale", "frames"}):
            raise UsageError(f"'{unknown[0]}' is no part of a frame transform; it has crop, scale and frames")
        return cls(**{name: _pair(name, value) for name, value in data.items()})


def matched(source: FrameSource, transform: FrameTransform, spec: VideoSpec) -> FrameSource:
    """Return `source` as a network saw it.

    A source that already has the size and the frame count of `spec` is taken as it is: people keep their cut clips.

    Args:
        source: the original clip, or a copy of it that is cut already.
        transform: what was recorded when the network was fitted.
        spec: the clip that the network stands for.

    Raises:
        GeometryError: the source fits neither as it is nor cut.
    """
    if _dimensions(source.spec) == _dimensions(spec):
        return source
    try:
        cut = transform.apply(source)
    except (GeometryError, FrameIndexError) as error:
        raise GeometryError(f"{_mismatch(source.spec, spec)}; cutting it as recorded fails: {error}") from error
    if _dimensions(cut.spec) != _dimensions(spec):
        raise GeometryError(
            f"{_mismatch(source.spec, spec)}, and {_words(cut.spec)} when cut as recorded; "
            "give the clip that the network was fitted to"
        )
    return cut


class _TransformedSource(BaseSource):
    """A source seen through a transform; owns the source below."""

    def __init__(self, source: FrameSource, transform: FrameTransform) -> None:
        below = source.spec
        first, end = transform.frames or (0, below.frame_count)
        if end > below.frame_count:
            raise FrameIndexError(end - 1, below.frame_count)
        width, height = transform.crop or (below.width, below.height)
        if width > below.width or height > below.height:
            raise GeometryError(
                f"crop {width}x{height} is larger than the frame, {below.width}x{below.height}; "
                "crop to less, or scale instead"
            )
        aspect = below.sample_aspect
        if transform.scale is not None:
            aspect = aspect * width * transform.scale[1] / (height * transform.scale[0])
        size = transform.scale or (width, height)
        super().__init__(replace(below, width=size[0], height=size[1], frame_count=end - first, sample_aspect=aspect))
        self._source, self._first = source, first
        top, left = round((below.height - height) / 2), round((below.width - width) / 2)
        self._window = (slice(top, top + height), slice(left, left + width))
        self._resize = size != (width, height)

    def frames(self, indices: Iterable[int] | None = None) -> Iterator[Frame]:
        wanted = range(len(self)) if indices is None else indices
        for frame in self._source.frames(self._below(index) for index in wanted):
            yield self._cut(frame)

    def _read(self, index: int) -> Frame:
        return self._cut(self._source.frame(self._first + index))

    def _below(self, index: int) -> int:
        """Return the index in the source below."""
        if not 0 <= index < len(self):
            raise FrameIndexError(index, len(self))
        return self._first + index

    def _cut(self, frame: Frame) -> Frame:
        cut = np.ascontiguousarray(frame[self._window])
        if not self._resize:
            return cut
        size = (self.spec.width, self.spec.height)
        return np.array(Image.fromarray(cut).resize(size, Image.Resampling.LANCZOS))

    def close(self) -> None:
        """Close the source below."""
        self._source.close()


class _PlanarRange(_TransformedSource):
    """Some frames of a source that fills planes."""

    def __init__(self, source: PlanarSource, transform: FrameTransform) -> None:
        super().__init__(source, transform)
        self._planar = source

    def yuv_frame(self, index: int, out: Planes) -> Planes:
        """Fill `out` with frame `index`; see `PlanarSource.yuv_frame`."""
        return self._planar.yuv_frame(self._below(index), out)

    def yuv_frames(self, targets: Iterable[tuple[int, Planes]]) -> Iterator[Planes]:
        """Fill planes with frames, one after the other; see `PlanarSource.yuv_frames`."""
        return self._planar.yuv_frames((self._below(index), out) for index, out in targets)


def _pair(name: str, value: Any) -> tuple[int, int] | None:
    """Return two integers as a tuple, strictly: no bool, no float, no third value."""
    if value is None:
        return None
    if isinstance(value, list | tuple) and len(value) == 2 and all(type(part) is int for part in value):
        return value[0], value[1]
    raise UsageError(f"{name} of a frame transform is {value!r}; it must be two integers or null")


def _dimensions(spec: VideoSpec) -> tuple[int, int, int]:
    return spec.width, spec.height, spec.frame_count


def _words(spec: VideoSpec) -> str:
    return f"{spec.width}x{spec.height} with {spec.frame_count} frames"


def _mismatch(source: VideoSpec, spec: VideoSpec) -> str:
    return f"the source is {_words(source)}, the network {_words(spec)}"
