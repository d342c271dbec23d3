"""The rate that the HNeRV and SNeRV repositories report: bits of a Huffman code that is never written.

One code serves all integers of all tensors, of 6 and of 8 bits alike; an end mark of frequency 1 shapes it and is
not counted, nor is the code book. Every minimum and every scale counts 16 bits, whatever its type. Ours are sizes of
files; this is for tables that stand beside published ones.

Source: official HNeRV, train_nerv_all.py, with dahuffman's `HuffmanCodec.from_frequencies`; parity in
tests/nervplay/codec/test_huffman.py.
"""

import heapq
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.layout import QuantisedTensor

__all__ = ["code_lengths", "official_bits"]

_END = -1  # sorts before all codes, as dahuffman's end mark does
_MAP_BITS = 16


def code_lengths(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bits of each symbol's code, int64 (A,), 0 for symbols that do not occur.

    Args:
        counts: int64 (A,), how often each symbol occurs; at least one does.
    """
    # Equal frequencies are told apart by the first symbol of a subtree, as tuples in dahuffman's heap are.
    heap = [(int(counts[symbol]), int(symbol), [int(symbol)]) for symbol in np.flatnonzero(counts)]
    heap.append((1, _END, [_END]))
    heapq.heapify(heap)
    lengths = np.zeros(counts.size + 1, np.int64)  # the end mark's stands last
    while len(heap) > 1:
        (few, first, left), (more, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        members = left + right
        lengths[members] += 1
        heapq.heappush(heap, (few + more, first, members))
    return lengths[:-1]


def official_bits(tensors: Iterable[QuantisedTensor]) -> int:
    """Return the bits that the official evaluation reports for some tensors.

    Args:
        tensors: of 8 bits or less; at least one.
    """
    held = list(tensors)
    counts = np.bincount(np.concatenate([tensor.codes.reshape(-1) for tensor in held]))
    maps = sum(tensor.minimum.size + tensor.scale.size for tensor in held)
    return int((counts * code_lengths(counts)).sum()) + _MAP_BITS * maps
