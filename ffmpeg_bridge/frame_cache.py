"""Raw pictures of a clip by index, for several readers at once: one decodes, all share what was decoded lately."""

import threading
from collections import OrderedDict

from ffmpeg_bridge.raw import RawPacker
from nervplay.video.source import FrameSource

__all__ = ["DEFAULT_CACHE_BYTES", "FrameCache"]

DEFAULT_CACHE_BYTES = 256 << 20
"""Enough for 190 pictures of 1280x720 as yuv420p."""


class FrameCache:
    """The pictures that were asked for last, up to a number of bytes; the one just decoded is always kept.

    Any thread may ask. Only one at a time uses the source, as its contract wants it; a picture that is there already is
    handed out meanwhile.

    Args:
        source: the clip; used by this cache alone from now on, and not closed by it.
        pix_fmt: one of `ffmpeg_bridge.raw.RAW_FORMATS`.
        budget: bytes of pictures to keep.

    Raises:
        UnknownNameError: another pixel format.
        GeometryError: odd sides where the format halves them.
    """

    def __init__(self, source: FrameSource, pix_fmt: str, budget: int = DEFAULT_CACHE_BYTES) -> None:
        self._source = source
        self._packer = RawPacker(source.spec, pix_fmt)
        self._most = max(1, budget // self._packer.size)
        self._kept: OrderedDict[int, memoryview] = OrderedDict()
        self._table, self._decoder = threading.Lock(), threading.Lock()
        self.frame_bytes = self._packer.size
        """Bytes of a picture."""

    def picture(self, index: int) -> memoryview:
        """Return the raw bytes of frame `index`; they never change.

        Raises:
            FrameIndexError: index outside the clip.
            NervplayError: whatever the source raises.
        """
        found = self._find(index)
        if found is not None:
            return found
        with self._decoder:
            found = self._find(index)  # another reader may have been faster
            if found is not None:
                return found
            made = self._packer.pack(self._source.frame(index)).data.toreadonly()
            with self._table:
                self._kept[index] = made
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
            return made

    def __len__(self) -> int:
        """Return how many pictures are kept."""
        return len(self._kept)

    def _find(self, index: int) -> memoryview | None:
        """Return a picture that is kept, and note that it was used."""
        with self._table:
            found = self._kept.get(index)
            if found is not None:
                self._kept.move_to_end(index)
            return found
