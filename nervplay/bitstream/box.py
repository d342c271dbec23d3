"""The outer box of a .nerv file: a safetensors file, read by a bounded parser of our own (clauses 1 to 3).

The box is checked before any other parser sees it, and nothing is allocated from a number in it. Chunks are read by
offset, one at a time, and compared with their CRC-32. https://github.com/huggingface/safetensors#format
"""

import copy
import math
import struct
import zlib
from collections.abc import Iterable
from typing import Any, BinaryIO, Final, NamedTuple

from nervplay.bitstream.layout import FORMAT, VERSION, Chunk
from nervplay.bitstream.limits import MAX_FILE_BYTES, MAX_NAME, MAX_RANK, allowance
from nervplay.bitstream.refusal import damaged, newer
from nervplay.bitstream.strict_json import parse_json
from nervplay.errors import BitstreamError

__all__ = ["ALIGNMENT", "IGNORABLE", "LENGTH", "Box", "printable_name"]

IGNORABLE: Final = "x."
"""Chunks whose names start so may be ignored."""

_ITEM_BYTES: Final = {
    "BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip
LENGTH: Final = struct.Struct("<Q")
"""What a box begins with: bytes of its header."""
ALIGNMENT: Final = 8
"""Of the first chunk."""
_BLOCK: Final = 1 << 20
_NOT_NERV: Final = "not a .nerv file"


class _Place(NamedTuple):
    dtype: str
    shape: tuple[int, ...]
    start: int  # offsets in the file
    stop: int


def printable_name(name: object, longest: int = MAX_NAME) -> bool:
    """Return whether `name` is text of 1 to `longest` visible ASCII characters without blanks (clause 2.6)."""
    return isinstance(name, str) and 0 < len(name) <= longest and all("!" <= c <= "~" for c in name)


class Box:
    """An open box: its header is checked, its chunks are read on demand.

    Args:
        stream: seekable, open for reading; it stays the caller's to close.

    Raises:
        VersionError: a newer major version.
        BitstreamError: a box that breaks a rule of clauses 1 to 3.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size: int = stream.seek(0, 2)
        """Bytes of the whole file."""
        if self.size > MAX_FILE_BYTES:
            raise BitstreamError(f"{_NOT_NERV}: {self.size} bytes are over the {MAX_FILE_BYTES} allowed")
        self.allowed = allowance(self.size)
        """What the file may ask for."""
        header = self._header()
        self.version: tuple[int, int] = (0, 0)
        """Major and minor version of the format."""
        self._check_metadata(header.pop("__metadata__", None))
        self._places = self._check_places(header)
        self._crc = self._check_crc()

    def _header(self) -> dict[str, Any]:
        """Return the parsed header; the payload begins behind it (clause 1.1)."""
        start = self._bytes(0, min(self.size, 2 * ALIGNMENT))
        if len(start) < LENGTH.size + 2 or start[8:9] != b"{":
            raise BitstreamError(f"{_NOT_NERV}: it does not begin with a safetensors header; give a .nerv file")
        length: int = LENGTH.unpack_from(start)[0]
        if length > self.allowed.header:
            raise BitstreamError(f"{_NOT_NERV}: a header of {length} bytes is over the {self.allowed.header} allowed")
        self._payload = LENGTH.size + length
        if self._payload > self.size:
            raise damaged(f"the file is truncated: its header ends at byte {self._payload}, the file at {self.size}")
        return parse_json(self._bytes(LENGTH.size, self._payload), "the header")

    def _check_metadata(self, metadata: object) -> None:
        """Take format and version (clause 3.1); the version decides whether the rest can be read at all."""
        if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
            raise BitstreamError(f"{_NOT_NERV}: a safetensors file without the format '{FORMAT}' in its metadata")
        if not all(isinstance(value, str) for value in metadata.values()):
            raise damaged("the metadata holds a value that is not text")
        if sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items()) > self.allowed.metadata:
            raise damaged(f"the metadata is over {self.allowed.metadata} bytes")
        text = metadata.get("format_version", "")
        parts = text.split(".")
        if len(parts) != 2 or not all(p.isascii() and p.isdecimal() and len(p) <= 4 for p in parts):
            raise damaged(f"the format version '{text[:20]}' is not of the form 1.0")
        self.version = (int(parts[0]), int(parts[1]))
        if self.version[0] > VERSION[0]:
            raise newer(f"format version {text}; this nervplay reads {VERSION[0]}.x")
        if self.version[0] < VERSION[0]:
            raise damaged(f"format version {text} does not exist")
        self._crc_text: str = metadata.get("crc32", "")

    def _check_places(self, header: dict[str, Any]) -> dict[str, _Place]:
        """Return where each chunk lies; together they fill the payload without overlap or hole (clause 2)."""
        if not 1 <= len(header) <= self.allowed.chunks:
            raise damaged(f"{len(header)} chunks; a file of {self.size} bytes has 1 to {self.allowed.chunks}")
        places = {name: self._place(name, entry) for name, entry in header.items()}
        end = self._payload
        for place in sorted(places.values(), key=lambda place: place.start):
            if place.start != end:
                raise damaged("chunks overlap or leave a hole")
            end = place.stop
        if end != self.size:
            raise damaged(f"the file is truncated or too long: its chunks end at {end}, it ends at {self.size}")
        return places

    def _place(self, name: str, entry: object) -> _Place:
        if not printable_name(name, MAX_NAME + len("f.0000.")):
            raise damaged(f"a chunk has the name {name[:40]!r}")
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise damaged(f"the chunk '{name}' is not described by dtype, shape and data_offsets")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
            raise damaged(f"the chunk '{name}' has the type {str(dtype)[:20]!r}")
        if not _whole_numbers(shape, 1) or len(shape) > MAX_RANK:
            raise damaged(f"the chunk '{name}' has no shape of at most {MAX_RANK} sizes of 1 or more")
        if not _whole_numbers(offsets, 0) or len(offsets) != 2:
            raise damaged(f"the chunk '{name}' has no place in the file")
        if offsets[1] - offsets[0] != math.prod(shape) * _ITEM_BYTES[dtype]:
            raise damaged(f"the chunk '{name}' does not have the bytes that its shape needs")
        return _Place(dtype, tuple(shape), self._payload + offsets[0], self._payload + offsets[1])

    def _check_crc(self) -> dict[str, int]:
        """Return the CRC-32 of every chunk (clause 3.2)."""
        crc = parse_json(self._crc_text.encode(), "the table of checksums")
        if crc.keys() != self._places.keys() or not _whole_numbers(list(crc.values()), 0):
            raise damaged("the table of checksums does not list the chunks")
        return crc

    def on(self, stream: BinaryIO) -> "Box":
        """Return this box over another stream of the same file; what was checked is not checked again."""
        same = copy.copy(self)
        same._stream = stream  # noqa: SLF001 - of the same class
        return same

    def check_all(self) -> None:
        """Compare all chunks but the ignorable ones with their checksums (clause 3.2), a block at a time.

        Raises:
            BitstreamError: one that was altered.
        """
        for name, place in self._places.items():
            if name.startswith(IGNORABLE):
                continue
            crc = 0
            for start in range(place.start, place.stop, _BLOCK):
                crc = zlib.crc32(self._bytes(start, min(start + _BLOCK, place.stop)), crc)
            if crc != self._crc[name]:
                raise _altered(name)

    def _bytes(self, start: int, stop: int) -> bytes:
        self._stream.seek(start)
        data = self._stream.read(stop - start)
        if len(data) != stop - start:
            raise damaged(f"the file is truncated: bytes {start} to {stop} cannot be read")
        return data

    @property
    def names(self) -> Iterable[str]:
        """Names of all chunks."""
        return self._places.keys()

    @property
    def header_bytes(self) -> int:
        """Bytes before the first chunk."""
        return self._payload

    def chunk_bytes(self, name: str) -> int:
        """Return the bytes of the chunk `name`, 0 when there is none."""
        place = self._places.get(name)
        return place.stop - place.start if place else 0

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of the chunk `name`."""
        return self._places[name].shape

    def whole(self, name: str) -> Chunk:
        """Return the chunk `name` of whatever type.

        Raises:
            BitstreamError: no such chunk, or one whose checksum does not fit.
        """
        dtype, shape = (self._places[name].dtype, self.shape(name)) if name in self._places else ("U8", ())
        return Chunk(self.read(name, dtype), dtype, None if dtype == "U8" and len(shape) == 1 else shape)

    def read(self, name: str, dtype: str = "U8") -> bytes:
        """Return the content of the chunk `name`.

        Raises:
            BitstreamError: no such chunk, one of another type, or one whose checksum does not fit.
        """
        place = self._places.get(name)
        if place is None:
            raise damaged(f"the chunk '{name}' is missing")
        if place.dtype != dtype:
            raise damaged(f"the chunk '{name}' has the type {place.dtype} instead of {dtype}")
        data = self._bytes(place.start, place.stop)
        if zlib.crc32(data) != self._crc[name]:
            raise _altered(name)
        return data


def _altered(name: str) -> BitstreamError:
    """Return the error for a chunk whose checksum does not fit."""
    return damaged(f"the chunk '{name}' was altered (its CRC-32 does not fit)")


def _whole_numbers(value: object, least: int) -> bool:
    """Return whether `value` is a list of integers, none below `least`; True and False are no integers here."""
    return isinstance(value, list) and all(type(item) is int and item >= least for item in value)
