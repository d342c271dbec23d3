"""The chunk `maps`: minimum and scale of all float16 maps, entropy-coded (clause 5.11).

Both are taken as bit patterns, integers of 16 bits that grow with the magnitude. Of the minimum it is the difference to
the pattern of its scale: their ratio varies much less than either, and is one number for a symmetric quantiser.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.packing import ByteCursor
from nervplay.bitstream.refusal import damaged
from nervplay.bitstream.segment import CodedTensor, RowBudget, decode_segment, encode_segment

__all__ = ["decode_maps", "encode_maps"]

_MODELS: Final = ("uniform", "histogram", "laplace", "gaussian", "runs")
"""The models of the patterns, by the numbers that stand in the file."""
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
    blob, models = encode_segment([(pattern, _BITS) for pattern in patterns])
    numbers = [_MODELS.index(model) for model in models]
    return bytes(step | low << 4 for step, low in zip(numbers[::2], numbers[1::2], strict=True)) + blob


def decode_maps(chunk: bytes, counts: Sequence[int], budget: RowBudget) -> list[NDArray[np.float16]]:
    """Return minimum and scale of each tensor, one after the other, flat float16.

    Args:
        chunk: the chunk, its CRC already checked.
        counts: maps of each tensor; the caller has bounded their sum.
        budget: what the file's segments have left.

    Raises:
        BitstreamError: a chunk that breaks a rule of clauses 5 and 6.
    """
    cursor = ByteCursor(chunk, "the chunk 'maps'")
    numbers = cursor.take(len(counts))
    if max(max(number & 15, number >> 4) for number in numbers) >= len(_MODELS):
        raise damaged("the chunk 'maps' names a model that does not exist")
    table = [
        CodedTensor((count,), _BITS, _MODELS[number >> shift & 15])
        for count, number in zip(counts, numbers, strict=True)
        for shift in (0, 4)
    ]
    patterns = decode_segment(chunk[len(counts) :], table, "maps", budget)
    parts: list[NDArray[np.float16]] = []
    for step, low in zip(patterns[::2], patterns[1::2], strict=True):
        parts += [(low + step).astype("<u2").view("<f2").astype(np.float16), step.astype("<u2").view("<f2")]
    return parts
