"""Building a box chunk by chunk: they wait in a spool until the header, which stands first, can list them all."""

import zlib
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO, NamedTuple

from nervplay.bitstream.box import ALIGNMENT, LENGTH
from nervplay.bitstream.layout import Chunk
from nervplay.bitstream.strict_json import dump_json

__all__ = ["Spool"]

_BLOCK = 1 << 20


class _Kept(NamedTuple):
    dtype: str
    shape: list[int]
    crc: int
    start: int  # offsets in the spool
    stop: int


class Spool:
    """Chunks on their way into a box.

    Args:
        stream: an empty one, to write to and to read from; it stays the caller's to close.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._kept: dict[str, _Kept] = {}
        self._size = 0

    @property
    def names(self) -> Iterable[str]:
        """Names of the chunks, in the order in which they came."""
        return self._kept.keys()

    def add(self, name: str, chunk: Chunk) -> None:
        """Take a chunk; its bytes need not be kept any longer."""
        start, self._size = self._size, self._size + len(chunk.data)
        shape = [len(chunk.data)] if chunk.shape is None else list(chunk.shape)
        self._kept[name] = _Kept(chunk.dtype, shape, zlib.crc32(chunk.data), start, self._size)
        self._stream.write(chunk.data)

    def write(self, target: BinaryIO, order: Iterable[str], metadata: Mapping[str, str]) -> int:
        """Write the box, and return its bytes.

        float32 chunks come first in the file, so that they lie at multiples of four bytes.

        Args:
            target: where to.
            order: names of all chunks, as they follow each other.
            metadata: of the box; the CRC-32 of every chunk is added.
        """
        ordered = sorted(((name, self._kept[name]) for name in order), key=lambda item: item[1].dtype != "F32")
        crc = {name: kept.crc for name, kept in ordered}
        header: dict[str, Any] = {"__metadata__": {**metadata, "crc32": dump_json(crc).decode()}}
        offset = 0
        for name, kept in ordered:
            end = offset + kept.stop - kept.start
            header[name] = {"dtype": kept.dtype, "shape": kept.shape, "data_offsets": [offset, end]}
            offset = end
        text = dump_json(header)
        text += b" " * (-len(text) % ALIGNMENT)
        target.write(LENGTH.pack(len(text)) + text)
        for _, kept in ordered:
            self._stream.seek(kept.start)
            starts = range(kept.start, kept.stop, _BLOCK)
            target.writelines(self._stream.read(min(_BLOCK, kept.stop - start)) for start in starts)
        return LENGTH.size + len(text) + offset
