"""The chunk `maps`: minimum and scale of all float16 maps, entropy-coded (clause 5.11).

Both are taken as bit patterns, integers of 16 bits that grow with the magnitude. Of the minimum it is the difference to
the pattern of its scale: their ratio varies much less than either, and is one number for a symmetric quantiser.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.arrays import decode_arrays, encode_arrays
from nervplay.bitstream.segment import RowBudget

__all__ = ["decode_maps", "encode_maps"]

_BITS = 16


def encode_maps(maps: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> bytes:
    """Return the chunk of some maps.

    Args:
        maps: (minimum, scale) of each tensor, float16, any shape, at least one tensor.
    """
    patterns: list[NDArray[np.uint16]] = []
    for minimum, scale in maps:
        low, step = (np.ascontiguousarray(part, "<f2").reshape(-1).view("<u2") for part in (minimum, scale))
        patterns += [step, low - step]
    return encode_arrays([(pattern, _BITS) for pattern in patterns])


def decode_maps(chunk: bytes, counts: Sequence[int], budget: RowBudget) -> list[NDArray[np.float16]]:
    """Return minimum and scale of each tensor, one after the other, flat float16.

    Args:
        chunk: the chunk, its CRC already checked.
        counts: maps of each tensor; the caller has bounded their sum.
        budget: what the file's segments have left.

    Raises:
        BitstreamError: a chunk that breaks a rule of clauses 5 and 6.
    """
    patterns = decode_arrays(chunk, [(count, _BITS) for count in counts for _ in range(2)], "maps", budget)
    parts: list[NDArray[np.float16]] = []
    for step, low in zip(patterns[::2], patterns[1::2], strict=True):
        parts += [(low + step).astype("<u2").view("<f2").astype(np.float16), step.astype("<u2").view("<f2")]
    return parts
