"""Bounds of a .nerv file, checked before anything is allocated (docs/spec/nerv-format.md, clause 2).

What a file may ask for grows with its size: the sums of a clip of two hours are allowed, and a short file that asks for
as much is refused before it fills memory or keeps the processor busy.
"""

from typing import Final, NamedTuple

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_FRAMES",
    "MAX_JSON_DEPTH",
    "MAX_JSON_DIGITS",
    "MAX_LANES",
    "MAX_NAME",
    "MAX_PIXELS",
    "MAX_RANK",
    "MAX_RATE",
    "MAX_ROWS",
    "MAX_SIDE",
    "MAX_TENSORS",
    "MAX_WEIGHTS",
    "Allowance",
    "allowance",
]

MAX_FILE_BYTES: Final = 16 << 30
MAX_RANK: Final = 6
MAX_NAME: Final = 200
"""Characters of a tensor's name."""

MAX_JSON_DEPTH: Final = 12
MAX_JSON_DIGITS: Final = 19

MAX_SIDE: Final = 16384
MAX_PIXELS: Final = 8192 * 8192
MAX_FRAMES: Final = 10_000_000
MAX_RATE: Final = 1000

MAX_TENSORS: Final = 1 << 16
"""Tensors of all segments together, in the largest file; see `allowance`."""
MAX_WEIGHTS: Final = 256 << 20
"""Weights of one segment, and of all that are decoded at once."""
MAX_LANES: Final = 4096
MAX_ROWS: Final = 1 << 18
"""Steps of the entropy decoder that any file may ask for; see `allowance`."""


class Allowance(NamedTuple):
    """What a file of a certain size may ask for.

    Args:
        header: bytes of the outer box's JSON header.
        metadata: UTF-8 bytes of all keys and values of `__metadata__` together; the checksums of all chunks are there.
        chunks: of the box.
        head: bytes of the head after inflation.
        tensors: of all segments together.
        weights: of all segments together. A network whose weights cost less than 1/32 bit each is no network.
        rows: steps of the entropy decoder over all segments; with `weights` it bounds decoding time.
    """

    header: int
    metadata: int
    chunks: int
    head: int
    tensors: int
    weights: int
    rows: int


def allowance(file_bytes: int) -> Allowance:
    """Return what a file of `file_bytes` bytes may ask for: a base, a share of its size, up to a limit."""
    return Allowance(
        header=min(16 << 20, (1 << 20) + file_bytes // 16),
        metadata=min(8 << 20, (256 << 10) + file_bytes // 32),
        chunks=min(1 << 16, 4096 + file_bytes // 1024),
        head=min(32 << 20, (1 << 20) + 4 * file_bytes),
        tensors=min(MAX_TENSORS, 4096 + file_bytes // 64),
        weights=(4 << 20) + 256 * file_bytes,
        rows=MAX_ROWS + file_bytes // 64,
    )
