"""The bytes of EBML (RFC 8794), as far as an uncompressed Matroska file needs it: elements made, children read."""

import struct
from collections.abc import Iterator

__all__ = ["children", "element", "float_element", "head", "uint_element"]


def element(identifier: str, data: bytes) -> bytes:
    """Return an element with the shortest size that holds it.

    Args:
        identifier: its ID in hexadecimal digits, marker bits included ("1A45DFA3").
        data: its content.
    """
    length = next(octets for octets in range(1, 9) if len(data) < (1 << 7 * octets) - 1)
    return head(identifier, len(data), length) + data


def head(identifier: str, size: int, octets: int = 8) -> bytes:
    """Return ID and size of an element whose content follows elsewhere.

    Args:
        identifier: its ID in hexadecimal digits.
        size: bytes of the content.
        octets: bytes of the size field, 1 to 8; a fixed number makes positions plain arithmetic.
    """
    return bytes.fromhex(identifier) + (1 << 7 * octets | size).to_bytes(octets, "big")


def uint_element(identifier: str, value: int, octets: int | None = None) -> bytes:
    """Return an element with an unsigned integer, in `octets` bytes or as few as hold it."""
    return element(identifier, value.to_bytes(octets or max(1, -(-value.bit_length() // 8)), "big"))


def float_element(identifier: str, value: float) -> bytes:
    """Return an element with a 64-bit float."""
    return element(identifier, struct.pack(">d", value))


def children(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (ID, content) of the elements that lie in `data` one behind the other.

    For files of our own making: a size that is unknown or too large ends at the end of `data`.
    """
    position = 0
    while position < len(data):
        length = 9 - data[position].bit_length()
        identifier = data[position : position + length].hex().upper()
        position += length
        octets = 9 - data[position].bit_length()
        size = int.from_bytes(data[position : position + octets], "big") & ((1 << 7 * octets) - 1)
        position += octets
        yield identifier, data[position : position + size]
        position += size
