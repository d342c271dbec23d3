"""Where frames come from: the `FrameSource` protocol, and sources over arrays."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nervplay.errors import FrameIndexError, GeometryError
from nervplay.video.spec import VideoSpec

__all__ = ["ArraySource", "BaseSource", "Frame", "FrameSource", "PlanarSource", "Planes"]

Frame = NDArray[np.uint8]
"""One picture: uint8 (H, W, 3), RGB, full range, C-contiguous."""

Planes = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
"""One picture as Y (H, W), and U and V of that size (4:4:4) or of half of it, rounded up (4:2:0): all uint8 with 8 bits
per sample, or all uint16 with 10. The samples of a line lie side by side; there may be room between two lines."""


@runtime_checkable
class FrameSource(Protocol):
    """A clip with random access by frame index.

    Contract: `frame(i)` is exact (the same bytes whatever was asked before). The array is the caller's to keep and to
    change. `frames` is the fast way through many frames in rising order. One thread uses a source at a time. After
    `close` (idempotent) every access is an error. Sources are context managers.
    """

    @property
    def spec(self) -> VideoSpec:
        """Size, exact frame count, rate and colour; constant for the life of the source."""
        ...

    def __len__(self) -> int: ...

    def frame(self, index: int) -> Frame:
        """Return frame `index` as uint8 (H, W, 3) RGB.

        Raises:
            FrameIndexError: index outside 0 .. len - 1 (negative indices are outside, too).
        """
        ...

    def frames(self, indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """Yield the frames at `indices` in that order; all frames when None.

        Raises:
            FrameIndexError: an index outside 0 .. len - 1.
        """
        ...

    def close(self) -> None:
        """Release files and decoders."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *args: object) -> None: ...


@runtime_checkable
class PlanarSource(FrameSource, Protocol):
    """A clip that fills planes of samples without the way over 8-bit RGB; decoders do.

    Samples have matrix and range of `spec.colour`. They are made from what a network gives before it is rounded, and so
    may differ by a level from those of the rounded frame.
    """

    def yuv_frame(self, index: int, out: Planes) -> Planes:
        """Fill `out` with frame `index` and return it.

        Raises:
            FrameIndexError: index outside 0 .. len - 1.
            UsageError, GeometryError: planes that cannot take the frame.
            UnknownNameError: a matrix or range that cannot be made.
        """
        ...

    def yuv_frames(self, targets: Iterable[tuple[int, Planes]]) -> Iterator[Planes]:
        """Fill planes with frames, one after the other; yield each when it is full. The fast way through many frames.

        Args:
            targets: (index, planes). One may be taken, and its planes filled, while the caller works with those before.

        Raises:
            FrameIndexError, UsageError, GeometryError, UnknownNameError: as `yuv_frame`, when its turn comes.
        """
        ...


class BaseSource(ABC):
    """What all our sources share: length, iteration, index check, context manager.

    A subclass sets `spec` and writes `_read(index)`; it overrides `frames` when a sequential pass is cheaper.
    """

    def __init__(self, spec: VideoSpec) -> None:
        self._spec = spec

    @property
    def spec(self) -> VideoSpec:
        """Size, exact frame count, rate and colour; constant for the life of the source."""
        return self._spec

    def __len__(self) -> int:
        return self._spec.frame_count

    def frame(self, index: int) -> Frame:
        """Return frame `index` as uint8 (H, W, 3) RGB.

        Raises:
            FrameIndexError: index outside 0 .. len - 1.
        """
        if not 0 <= index < len(self):
            raise FrameIndexError(index, len(self))
        return self._read(index)

    def frames(self, indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """Yield the frames at `indices`, each uint8 (H, W, 3) RGB; all frames when None.

        Raises:
            FrameIndexError: an index outside 0 .. len - 1.
        """
        for index in range(len(self)) if indices is None else indices:
            yield self.frame(index)

    @abstractmethod
    def _read(self, index: int) -> Frame:
        """Return frame `index`, already checked, as a fresh uint8 (H, W, 3) array."""

    def close(self) -> None:  # noqa: B027 - a source over memory has nothing to release
        """Release what the source holds; nothing by default."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


class ArraySource(BaseSource):
    """Frames that already lie in memory.

    Args:
        frames: uint8 (T, H, W, 3) RGB; not copied.
        rate: frames per second.
        spec: full description; replaces `rate` when given.

    Raises:
        GeometryError: an array of another shape or dtype, or one that `spec` does not describe.
    """

    def __init__(self, frames: NDArray[np.uint8], rate: Fraction = Fraction(25), spec: VideoSpec | None = None) -> None:
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
            raise GeometryError(f"frames are {frames.dtype} {frames.shape}; they must be uint8 (T, H, W, 3)")
        count, height, width, _ = frames.shape
        spec = spec or VideoSpec(width=width, height=height, frame_count=count, rate=rate)
        if (spec.frame_count, spec.height, spec.width) != (count, height, width):
            raise GeometryError(f"frames of shape {frames.shape} do not fit the spec {spec}")
        super().__init__(spec)
        self._frames = frames

    def _read(self, index: int) -> Frame:
        frame: Frame = self._frames[index].copy()
        return frame
