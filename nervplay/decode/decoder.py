"""The decoder's contract: frames of a neural video by index. Everything that shows, pipes or measures frames uses this.

Contract of every `Decoder`:
  * order: `frame(i)` may be asked in any order; the same decoder, precision and index give the same bytes every time;
  * buffers: a returned array belongs to the caller, who may keep and change it; an array given as `out` is filled and
    returned, and the decoder keeps no reference to it;
  * threads: one thread at a time uses a decoder; several decoders may run in one process; `cancel` alone may be called
    from any thread and makes a running `frames` or `yuv_frames` stop before its next frame;
  * precision: `set_precision` takes effect with the next frame that is asked for;
  * time: a position between two frames is a fraction of the frame index, never seconds; at whole numbers `frame_at` and
    `frame` give the same bytes;
  * end: `close` is idempotent and frees weights and device memory; decoding after it raises `UsageError`.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from nervplay.decode.stages import StageTime
from nervplay.video.source import Frame, Planes
from nervplay.video.spec import VideoSpec

__all__ = ["Decoder"]


class Decoder(Protocol):
    """Random access to the frames of a neural video; the contract stands at the head of this module.

    A decoder is also a `nervplay.video.PlanarSource`: wherever frames of a file are read, a decoder will do.
    """

    @property
    def spec(self) -> VideoSpec:
        """Size, frame count, rate and colour of what comes out."""
        ...

    @property
    def precision(self) -> str:
        """Arithmetic in use, one of `PRECISIONS`."""
        ...

    @property
    def device(self) -> str:
        """Where it runs, as torch names it: "cpu", "cuda:0"."""
        ...

    @property
    def backend(self) -> str:
        """The engine that computes: "torch" is the reference; the others name themselves."""
        ...

    @property
    def arithmetic(self) -> str:
        """What most products are computed in, by its honest name: "FP32", "BF16", "INT16", "INT8"."""
        ...

    @property
    def backend_note(self) -> str:
        """What a user should know of the backend, in one line: why it was taken, what it really computes; or empty."""
        ...

    @property
    def continuous_time(self) -> bool:
        """Whether `frame_at` can give pictures between two frames."""
        ...

    def __len__(self) -> int: ...

    def frame(self, index: int, out: Frame | None = None) -> Frame:
        """Return frame `index` as uint8 (H, W, 3) RGB, rounded by `nervplay.decode.rounding`.

        Args:
            index: 0 .. T - 1.
            out: where to write it, C-contiguous uint8 (H, W, 3); a new array when None.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed, or `out` does not fit.
        """
        ...

    def float_frame(self, index: int, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return frame `index` as float32 (3, H, W), as the network gives it, before rounding and clipping.

        Args:
            index: 0 .. T - 1.
            out: where to write it, C-contiguous float32 (3, H, W); a new array when None.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed, or `out` does not fit.
        """
        ...

    def yuv_frame(self, index: int, out: Planes) -> Planes:
        """Fill `out` with frame `index` as samples of YUV, and return it; see `nervplay.decode.planes`.

        Args:
            index: 0 .. T - 1.
            out: where to write it: 4:4:4 or 4:2:0, 8 or 10 bits, matrix and range of `spec.colour`.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError, GeometryError: the decoder is closed, or `out` does not fit.
            UnknownNameError: a matrix or range that cannot be made.
        """
        ...

    def yuv_frames(self, targets: Iterable[tuple[int, Planes]]) -> Iterator[Planes]:
        """Fill planes with frames, one after the other; yield each when it is full.

        Args:
            targets: (index, planes). One may be taken, and its planes filled, while the caller works with those before.

        Raises:
            FrameIndexError, UsageError, GeometryError, UnknownNameError: as `yuv_frame`, when its turn comes.
        """
        ...

    def frame_at(self, position: Fraction) -> Frame:
        """Return the picture at a position between frames, uint8 (H, W, 3) RGB.

        Args:
            position: in frames, 0 .. T - 1; 7/2 lies half-way between frames 3 and 4.

        Raises:
            FrameIndexError: position outside 0 .. T - 1.
            CapabilityError: the position is not whole and the architecture is not continuous in time.
            UsageError: the decoder is closed.
        """
        ...

    def frames(self, indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """Yield the frames at `indices` in that order, all frames when None; uint8 (H, W, 3) each.

        Raises:
            FrameIndexError: an index outside 0 .. T - 1, when its turn comes.
            UsageError: the decoder is closed.
        """
        ...

    def prepare(self, precision: str) -> None:
        """Make a precision ready, so that `set_precision` takes no time; callable from any thread, while frames go on
        being decoded. The first "int8" of a file is calibrated. Nothing happens where there is nothing to prepare.

        Raises:
            UnknownNameError: not one of `PRECISIONS`.
            CapabilityError: not available in this backend.
            UsageError: the decoder is closed.
        """
        ...

    def set_precision(self, precision: str) -> None:
        """Change the arithmetic; the next frame uses it.

        Raises:
            UnknownNameError: not one of `PRECISIONS`.
            CapabilityError: this backend or device cannot do it; the decoder stays as it was.
        """
        ...

    def stage_times(self, index: int = 0) -> tuple[StageTime, ...]:
        """Make frame `index` some times and return how long each stage took; frames that are decoded are not timed.

        Stages are those of the backend, each run by itself: their sum may exceed the time of a frame.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed.
        """
        ...

    def cancel(self) -> None:
        """Make a running `frames` or `yuv_frames` stop before its next frame; callable from any thread."""
        ...

    def close(self) -> None:
        """Free weights and device memory; idempotent."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *args: object) -> None: ...
