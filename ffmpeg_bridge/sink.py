"""A place that bytes are piped into: gathered writes, a large pipe buffer, and silence when the reader leaves."""

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO

__all__ = ["Piece", "Sink"]

Piece = bytes | memoryview
"""Bytes to be written; a memoryview is of bytes and valid until the next piece is asked for."""

_PIPE_BYTES = 1 << 20


class Sink:
    """A descriptor written with gathered writes, or a file without a descriptor.

    Args:
        stream: a file descriptor, or a binary file.
    """

    def __init__(self, stream: int | BinaryIO) -> None:
        self._file = None if isinstance(stream, int) else stream
        self._descriptor: int | None = stream if isinstance(stream, int) else None
        if self._file is not None:
            with suppress(OSError):  # a file in memory has no descriptor
                self._descriptor = self._file.fileno()
                self._file.flush()
        if self._descriptor is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(OSError):  # no pipe, or a smaller limit: slower, not wrong
                fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def write(self, pieces: Sequence[Piece]) -> None:
        """Write all of `pieces`, in order.

        Raises:
            OSError: what the system says; `BrokenPipeError` when the reader has left.
        """
        if self._descriptor is None:
            assert self._file is not None
            self._file.writelines(pieces)
            return
        left = [memoryview(piece) for piece in pieces]
        while left:
            count = os.writev(self._descriptor, left)
            while left and count >= len(left[0]):
                count -= len(left.pop(0))
            if count:
                left[0] = left[0][count:]

    def finish(self) -> None:
        """Hand on what a file without a descriptor may hold back."""
        if self._descriptor is None and self._file is not None:
            self._file.flush()

    def abandon(self) -> None:
        """Lead the descriptor to the null device: what is flushed into it later, by whomever, is lost in silence."""
        if self._descriptor is not None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._descriptor)
            os.close(nowhere)
