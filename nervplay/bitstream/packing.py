"""Small integers in bytes: a bounded cursor, variable-length integers, and arrays of fixed-width fields.

docs/spec/nerv-format.md, clause 5.2: least significant bit and byte first, everywhere.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.refusal import damaged

__all__ = ["ByteCursor", "pack_fields", "packed_bytes", "unpack_fields", "varint"]

_BLOCK = 1 << 16  # fields unpacked at once: a field costs one byte per bit while it is unpacked
_VARINT_BYTES = 4


def varint(value: int) -> bytes:
    """Return `value`, 0 .. 2**28 - 1, as 7-bit groups, lowest first, the top bit set on all but the last."""
    assert 0 <= value < 1 << (7 * _VARINT_BYTES)
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def packed_bytes(count: int, width: int) -> int:
    """Return the bytes that `count` fields of `width` bits take: whole bytes."""
    return -(-count * width // 8)


def pack_fields(values: NDArray[Any], width: int) -> bytes:
    """Return the low `width` bits of each value, one after the other, the last byte filled with zeros.

    Args:
        values: unsigned or non-negative integers (n,).
        width: 0 .. 16 bits.
    """
    if width in (8, 16):
        return values.astype(f"<u{width // 8}").tobytes()
    # A block of 65536 fields ends on a byte whatever the width.
    blocks = (values[start : start + _BLOCK].astype("<u2") for start in range(0, values.size, _BLOCK))
    return b"".join(_pack_block(block, width) for block in blocks)


def _pack_block(values: NDArray[Any], width: int) -> bytes:
    bits = np.unpackbits(values.view(np.uint8).reshape(-1, 2), axis=1, count=width, bitorder="little")
    return np.packbits(bits.reshape(-1), bitorder="little").tobytes()


def unpack_fields(raw: bytes, count: int, width: int) -> NDArray[np.uint16]:
    """Return the fields that `pack_fields` wrote, uint16 (count,).

    Args:
        raw: exactly `packed_bytes(count, width)` bytes.
        count: number of fields.
        width: 0 .. 16 bits.

    Raises:
        BitstreamError: bits after the last field that are not zero.
    """
    if width in (8, 16):
        return np.frombuffer(raw, f"<u{width // 8}").astype(np.uint16)
    used = count * width
    if used % 8 and raw[-1] >> used % 8:
        raise damaged("bits behind the last packed field are not zero")
    source = np.frombuffer(raw, np.uint8)
    fields = np.zeros(count, "<u2")
    for start in range(0, count if width else 0, _BLOCK):
        size = min(_BLOCK, count - start)
        block = source[start * width // 8 : start * width // 8 + packed_bytes(size, width)]
        bits = np.unpackbits(block, count=size * width, bitorder="little").reshape(size, width)
        fields[start : start + size] = np.packbits(_widened(bits), axis=1, bitorder="little").view("<u2")[:, 0]
    return fields.astype(np.uint16, copy=False)


def _widened(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return bits (n, width) with zero columns appended, (n, 16)."""
    wide = np.zeros((bits.shape[0], 16), np.uint8)
    wide[:, : bits.shape[1]] = bits
    return wide


class ByteCursor:
    """Reads a byte string from front to back and never past its end.

    Args:
        raw: the bytes.
        what: their name in messages ("the side information of seg.0000").
    """

    def __init__(self, raw: bytes, what: str) -> None:
        self._raw, self._what, self._next = raw, what, 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes.

        Raises:
            BitstreamError: fewer are left.
        """
        part = self._raw[self._next : self._next + count]
        if len(part) < count:
            raise damaged(f"{self._what} ends too early")
        self._next += count
        return part

    def byte(self) -> int:
        """Return the next byte."""
        return self.take(1)[0]

    def varint(self) -> int:
        """Return the next variable-length integer, at most 2**28 - 1.

        Raises:
            BitstreamError: more than four bytes, or a last byte of 0 after others (not the shortest form).
        """
        value = 0
        for position in range(_VARINT_BYTES):
            byte = self.byte()
            value |= (byte & 0x7F) << (7 * position)
            if byte < 0x80:
                if byte == 0 and position > 0:
                    break
                return value
        raise damaged(f"{self._what} holds an ill-formed integer")

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(len(self._raw) - self._next)

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._next == len(self._raw)

    def finish(self) -> None:
        """Check that nothing is left.

        Raises:
            BitstreamError: bytes are left.
        """
        if self._next != len(self._raw):
            left = len(self._raw) - self._next
            raise damaged(f"{self._what} has {left} bytes too many")
