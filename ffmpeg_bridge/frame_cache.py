"""Raw pictures of a clip by index, for several readers at once: one decodes, all share what was decoded lately."""

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from ffmpeg_bridge.raw import RawPictures
from nervplay.video.source import FrameSource

__all__ = ["DEFAULT_CACHE_BYTES", "FrameCache"]

DEFAULT_CACHE_BYTES = 32 << 20
"""24 pictures of 1280x720 as yuv420p. More keeps more of what readers come back to, but outgrows the processor."""

_SLAB_BYTES = 16 << 20


class FrameCache:
    """The pictures that were asked for last, up to a number of bytes, and those that readers are using.

    Any thread may read. Only one at a time uses the source, as its contract wants it; a picture that is there already
    is handed out meanwhile. Memory is taken in large pieces and used again, for fresh memory costs more than a
    picture's way to the reader.

    Args:
        source: the clip; used by this cache alone from now on, and not closed by it.
        pix_fmt: one of `nervplay.choices.RAW_FORMATS`.
        budget: bytes of pictures to keep.

    Raises:
        UnknownNameError: another pixel format.
        GeometryError: odd sides where the format halves them.
    """

    def __init__(self, source: FrameSource, pix_fmt: str, budget: int = DEFAULT_CACHE_BYTES) -> None:
        self._source = RawPictures(source, pix_fmt)
        self.frame_bytes = self._source.size
        """Bytes of a picture."""
        self._most = max(1, budget // self.frame_bytes)
        self._kept: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()  # the one used last at the end
        self._users: Counter[int] = Counter()
        self._free: list[NDArray[np.uint8]] = []
        self._made = 0
        self._table, self._decoder = threading.Lock(), threading.Lock()

    def __len__(self) -> int:
        """Return how many pictures are kept."""
        return len(self._kept)

    @contextmanager
    def reader(self) -> Iterator[Callable[[int], memoryview]]:
        """Give a function that returns the raw bytes of frame i, valid until its next call; for one thread.

        It raises `FrameIndexError` for an index outside the clip, and whatever the source raises.
        """
        used: int | None = None

        def picture(index: int) -> memoryview:
            nonlocal used
            self._give_back(used)
            used = None
            lent = self._lend(index)
            used = index
            return lent

        try:
            yield picture
        finally:
            self._give_back(used)

    def _lend(self, index: int) -> memoryview:
        """Return a picture that stays as it is until it is given back, decoding it where it is not kept."""
        found = self._find(index)
        if found is None:
            with self._decoder:
                found = self._find(index)  # another reader may have been faster
                if found is None:
                    found = self._decoded(index)
        return found.data.toreadonly()

    def _find(self, index: int) -> NDArray[np.uint8] | None:
        """Return a picture that is kept, and note that it is used."""
        with self._table:
            found = self._kept.get(index)
            if found is not None:
                self._kept.move_to_end(index)
                self._users[index] += 1
            return found

    def _decoded(self, index: int) -> NDArray[np.uint8]:
        """Decode a picture, keep it and note that it is used."""
        with self._table:
            buffer = self._buffer()
        try:
            self._source.read(index, buffer)
        except BaseException:
            with self._table:
                self._free.append(buffer)
            raise
        with self._table:
            self._kept[index] = buffer
            self._users[index] += 1
        return buffer

    def _buffer(self) -> NDArray[np.uint8]:
        """Return memory for a picture: free, fresh within the budget, or that of the picture unused longest."""
        if not self._free and self._made >= self._most:
            unused = next((index for index in self._kept if not self._users[index]), None)
            if unused is not None:
                return self._kept.pop(unused)
        if not self._free:
            count = max(1, min(_SLAB_BYTES // self.frame_bytes, self._most - self._made))
            self._free.extend(np.empty((count, self.frame_bytes), np.uint8))
            self._made += count
        return self._free.pop()

    def _give_back(self, index: int | None) -> None:
        """Note that a reader is done with a picture."""
        if index is not None:
            with self._table:
                self._users[index] -= 1
