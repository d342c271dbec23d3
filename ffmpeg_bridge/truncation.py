"""Is a media file shorter than its own boxes say? A file cut short must be an error, never a shorter clip."""

import struct
from pathlib import Path
from typing import BinaryIO

__all__ = ["missing_bytes"]

_SEGMENT = bytes.fromhex("18538067")
_UNKNOWN_LENGTH = 0xFFFFFFFF
_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}
_NEEDED_BOXES = {b"moov", b"mdat", b"moof"}
_EBML = bytes.fromhex("1a45dfa3")


def missing_bytes(path: Path) -> int:
    """Return how many bytes are missing at the end of an MP4, MOV, Matroska, WebM, AVI or WAV file.

    Returns:
        0 for a complete file, for one of another kind, and for one that does not state its size, such as a recording.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(0)
        if head[:4] == _EBML:
            end = _ebml_end(file)
        elif head[:4] == b"RIFF":
            length = int.from_bytes(head[4:8], "little")
            end = 8 + length if length < _UNKNOWN_LENGTH else 0
        elif head[4:8] in _FIRST_BOXES:
            end = _boxes_end(file, size)
        else:
            return 0
    return max(0, end - size)


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Return where the last box says that it ends (ISO/IEC 14496-12, 4.2); 0 when that is inside the file."""
    start: int = 0
    while start + 8 <= size:
        file.seek(start)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:  # a 64-bit length follows
            wide = file.read(8)
            length = int.from_bytes(wide, "big") if len(wide) == 8 else 16
        if length < 8:  # to the end of the file, wherever that is; or rubbish behind the last box
            return 0
        start += length
        if start > size and kind in _NEEDED_BOXES:
            return start
    return 0


def _ebml_end(file: BinaryIO) -> int:
    """Return where the segment of a Matroska file says that it ends (RFC 8794, 6); 0 when it does not say."""
    while len(mark := file.read(4)) == 4:
        length = _ebml_size(file)
        if length is None:
            return 0
        if mark == _SEGMENT:
            return file.tell() + length
        file.seek(length, 1)
    return 0


def _ebml_size(file: BinaryIO) -> int | None:
    """Return the variable-length size at the file's position; None when unknown or cut off."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    extra = 8 - first[0].bit_length()
    rest = file.read(extra)
    if len(rest) < extra:
        return None
    value = int.from_bytes(first + rest, "big") & ((1 << 7 * (extra + 1)) - 1)
    return None if value == (1 << 7 * (extra + 1)) - 1 else value
