"""The decoder's contract: frames of a neural video by index. Everything that shows, pipes or measures frames uses this.

Contract of every `Decoder`:
  * order: `frame(i)` may be asked in any order; the same decoder, precision and index give the same bytes every time;
  * buffers: a returned array belongs to the caller, who may keep and change it;
  * threads: one thread at a time uses a decoder; several decoders may run in one process; `cancel` alone may be called
    from any thread and makes a running `frames` stop before its next frame;
  * precision: `set_precision` takes effect with the next frame that is asked for;
  * end: `close` is idempotent and frees weights and device memory; decoding after it raises `UsageError`.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from nervplay.video.source import Frame
from nervplay.video.spec import VideoSpec

__all__ = ["PRECISIONS", "Decoder"]

PRECISIONS = ("fp32", "bf16", "int8")
"""Names of arithmetic, for all backends; a backend that lacks one raises `CapabilityError`."""


class Decoder(Protocol):
    """Random access to the frames of a neural video; the contract stands at the head of this module.

    A decoder is also a `nervplay.video.FrameSource`: wherever frames of a file are read, a decoder will do.
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

    def __len__(self) -> int: ...

    def frame(self, index: int) -> Frame:
        """Return frame `index` as uint8 (H, W, 3) RGB, rounded by `nervplay.decode.rounding`.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed.
        """
        ...

    def float_frame(self, index: int) -> NDArray[np.float32]:
        """Return frame `index` as float32 (3, H, W), as the network gives it, before rounding and clipping.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
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

    def set_precision(self, precision: str) -> None:
        """Change the arithmetic; the next frame uses it.

        Raises:
            UnknownNameError: not one of `PRECISIONS`.
            CapabilityError: this backend or device cannot do it; the decoder stays as it was.
        """
        ...

    def cancel(self) -> None:
        """Make a running `frames` stop before its next frame; callable from any thread."""
        ...

    def close(self) -> None:
        """Free weights and device memory; idempotent."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *args: object) -> None: ...
