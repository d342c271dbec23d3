"""Bounds of a .nerv file, checked before anything is allocated (docs/spec/nerv-format.md, clause 2)."""

from typing import Final

__all__ = [
    "MAX_CHUNKS",
    "MAX_FILE_BYTES",
    "MAX_FRAMES",
    "MAX_HEADER_BYTES",
    "MAX_HEAD_BYTES",
    "MAX_JSON_DEPTH",
    "MAX_JSON_DIGITS",
    "MAX_LANES",
    "MAX_METADATA_BYTES",
    "MAX_NAME",
    "MAX_PIXELS",
    "MAX_RANK",
    "MAX_RATE",
    "MAX_ROWS",
    "MAX_SIDE",
    "MAX_TENSORS",
    "MAX_WEIGHTS",
    "weight_allowance",
]

MAX_FILE_BYTES: Final = 256 << 20
MAX_HEADER_BYTES: Final = 1 << 20
"""Bytes of the outer box's JSON header."""
MAX_METADATA_BYTES: Final = 256 << 10
"""UTF-8 bytes of all keys and values of `__metadata__` together."""
MAX_CHUNKS: Final = 4096
MAX_RANK: Final = 6
MAX_NAME: Final = 200
"""Characters of a tensor's name."""

MAX_JSON_DEPTH: Final = 12
MAX_JSON_DIGITS: Final = 19
MAX_HEAD_BYTES: Final = 1 << 20
"""Bytes of the head after inflation."""

MAX_SIDE: Final = 16384
MAX_PIXELS: Final = 8192 * 8192
MAX_FRAMES: Final = 10_000_000
MAX_RATE: Final = 1000

MAX_TENSORS: Final = 4096
"""Tensors of all segments together."""
MAX_WEIGHTS: Final = 256 << 20
"""Weights of all segments together."""
MAX_LANES: Final = 4096
MAX_ROWS: Final = 1 << 18
"""Steps of the entropy decoder over all segments; with `MAX_WEIGHTS` it bounds decoding time."""


def weight_allowance(file_bytes: int) -> int:
    """Return how many weights a file of `file_bytes` bytes may hold: 4 Mi and 256 for every byte, never over 256 Mi.

    A network whose weights cost less than 1/32 bit each is no network; a file that claims one is there to fill memory.
    """
    return min(MAX_WEIGHTS, (4 << 20) + 256 * file_bytes)
