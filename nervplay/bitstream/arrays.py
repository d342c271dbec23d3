"""Arrays of small integers, entropy-coded as weights are: what the chunks `maps` and `x.int8.NNNN` are made of.

First the numbers of their models, half a byte for each, the lower half first; then a blob as in clause 5.1, of
one-dimensional tensors.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.packing import ByteCursor
from nervplay.bitstream.refusal import damaged
from nervplay.bitstream.segment import CodedTensor, RowBudget, decode_segment, encode_segment

__all__ = ["decode_arrays", "encode_arrays"]

_MODELS: Final = ("uniform", "histogram", "laplace", "gaussian", "runs")
"""The models of arrays, by the numbers that stand in the file."""


def encode_arrays(arrays: Sequence[tuple[NDArray[Any], int]]) -> bytes:
    """Return arrays as bytes.

    Args:
        arrays: (codes, bits) of each: unsigned integers below 2**bits, flat and not empty; one array at least.
    """
    blob, models = encode_segment(arrays)
    numbers = [_MODELS.index(model) for model in models] + [0] * (len(models) % 2)
    return bytes(low | high << 4 for low, high in zip(numbers[::2], numbers[1::2], strict=True)) + blob


def decode_arrays(data: bytes, layout: Sequence[tuple[int, int]], name: str, budget: RowBudget) -> list[NDArray[Any]]:
    """Return what `encode_arrays` wrote: uint8 (count,) for up to 8 bits, uint16 (count,) above.

    Args:
        data: the bytes.
        layout: (count, bits) of each array; the caller has bounded the sum of counts.
        name: of the chunk, for messages.
        budget: what the file's segments have left.

    Raises:
        BitstreamError: bytes that break a rule of clauses 5 and 6.
    """
    head = -(-len(layout) // 2)
    numbers = np.frombuffer(ByteCursor(data, f"the chunk '{name}'").take(head), np.uint8)
    numbers = np.stack([numbers & 15, numbers >> 4], axis=1).reshape(-1)
    if numbers.max() >= len(_MODELS):
        raise damaged(f"the chunk '{name}' names a model that does not exist")
    table = [
        CodedTensor((count,), bits, _MODELS[number]) for (count, bits), number in zip(layout, numbers, strict=False)
    ]
    return decode_segment(data[head:], table, name, budget)
