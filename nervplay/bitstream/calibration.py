"""The chunk `x.int8.NNNN`: what integer products of a segment's network need, found beforehand (clause 11).

It is never needed: whoever has none, or a damaged one, finds the same by running some frames. So it is bound to the
weights that it was found with, and what does not belong to these counts as nothing.
"""

import struct
from collections.abc import Mapping
from typing import Final

from nervplay.bitstream.packing import ByteCursor
from nervplay.bitstream.refusal import damaged

__all__ = ["decode_calibration", "encode_calibration"]

_HASH_BYTES: Final = 16
_LENGTH: Final = struct.Struct("<I")
_WHAT = "a calibration"


def encode_calibration(weights: str, records: Mapping[str, bytes]) -> bytes:
    """Return the chunk of a segment.

    Args:
        weights: `weights_sha256` of the segment alone.
        records: by name, 1 to 255 characters of ASCII.
    """
    parts = [bytes.fromhex(weights)[:_HASH_BYTES]]
    for name, record in records.items():
        parts += [bytes([len(name)]), name.encode("ascii"), _LENGTH.pack(len(record)), record]
    return b"".join(parts)


def decode_calibration(data: bytes, weights: str) -> dict[str, bytes]:
    """Return the records of a chunk by name; nothing where it was made for other weights.

    Args:
        data: the chunk.
        weights: `weights_sha256` of the segment alone.

    Raises:
        BitstreamError: a chunk that is no such thing.
    """
    cursor = ByteCursor(data, _WHAT)
    if cursor.take(_HASH_BYTES) != bytes.fromhex(weights)[:_HASH_BYTES]:
        return {}
    records = {}
    while not cursor.at_end:
        name = cursor.take(cursor.byte()).decode("ascii", "replace")
        if not name or name in records:
            raise damaged(f"{_WHAT} has two records of a name, or one without")
        records[name] = cursor.take(_LENGTH.unpack(cursor.take(_LENGTH.size))[0])
    return records
