"""Arrays that the caller gives for the decoder to fill."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nervplay.errors import UsageError

__all__ = ["check_buffer", "deliver"]

ScalarT = TypeVar("ScalarT", bound=np.generic)


def deliver(values: NDArray[ScalarT], out: NDArray[ScalarT] | None) -> NDArray[ScalarT]:
    """Return `values`, copied into `out` when there is one.

    Args:
        values: any array.
        out: an array of the same shape and dtype, C-contiguous and writable; None for none.

    Raises:
        UsageError: `out` is of another shape or dtype, strided or read-only.
    """
    if out is None:
        return values
    check_buffer(out, values.shape, values.dtype)
    out[...] = values
    return out


def check_buffer(out: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise unless a buffer can be filled.

    Args:
        out: the buffer.
        shape: what it must have.
        dtype: likewise.

    Raises:
        UsageError: `out` is of another shape or dtype, strided or read-only.
    """
    if (out.shape, out.dtype) != (shape, dtype) or not (out.flags.c_contiguous and out.flags.writeable):
        raise UsageError(
            f"the buffer for a frame is {out.dtype} {out.shape}; it must be {dtype} {shape}, C-contiguous and writable"
        )
