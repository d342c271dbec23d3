"""How a sequence of codes becomes symbols: the entropy models, and the choice among them by size.

A code of b bits is split into a high part, coded as a symbol under a frequency table, and `raw_bits` low bits that are
stored as they are (docs/spec/nerv-format.md, clause 5): code = (first + symbol) << raw_bits | raw. This is what lets
16-bit codes use a 14-bit table, and a short tensor have a short table. A model says where the table comes from:

    uniform    no table: all bits are raw
    histogram  the table itself, rounded to a sum of 2**precision
    laplace    centre and decay of a two-sided geometric distribution
    gaussian   centre, shape and width of a generalised Gaussian

What a tensor's codes go through before (differences, runs of zeros) is the matter of `tensor_code.py`. To add a model:
a function that yields candidates, one that reads the side information back, a row in `_READERS`, a clause in the
specification, and a higher minor version (readers refuse models that they do not know).
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.gaussian import MAX_SHAPE, SHAPES, fit_width, gaussian_table
from nervplay.bitstream.histogram import least_table_bytes, normalise, read_table, table_bytes, write_table
from nervplay.bitstream.laplace import fit_decay, laplace_table
from nervplay.bitstream.packing import ByteCursor, packed_bytes, varint
from nervplay.bitstream.rans import PRECISION
from nervplay.bitstream.refusal import damaged, newer

__all__ = ["MAX_ALPHABET", "TensorCoding", "base_model_names", "choose_coding", "read_coding"]

MAX_ALPHABET: Final = 4096
"""Symbols of a table: a quarter of its sum, so that the frequency of 1 that all get costs little."""

_WHOLE = np.array([1 << PRECISION], np.int64)
_PRECISIONS = (7, 8, 9, 10, 11, 12, 14)
_COST_ONE = 4096
_FITTED_CODES = 64  # codes from which on a generalised Gaussian is tried: it takes a byte more than a Laplacian
_FITTED_ALPHABET = 512  # symbols up to which a generalised Gaussian is tried: low bits of wider codes are noise

# Cost of a symbol by its frequency, in 1/4096 bit. Rounded, so that a last-bit difference between two machines' log2
# cannot make them choose different models: no entry lies near a half (tests/nervplay/bitstream/test_entropy_model.py).
_COST = np.zeros((1 << PRECISION) + 1, np.int64)
_COST[1:] = np.rint((PRECISION - np.log2(np.arange(1, (1 << PRECISION) + 1))) * _COST_ONE)


class TensorCoding(NamedTuple):
    """How a sequence of codes is coded.

    Args:
        model: name of the entropy model.
        raw_bits: low bits of a code that are stored as they are, 0 .. 16.
        first: high part of the symbol 0.
        frequencies: int64 (A,), sum 2**14; a table of one symbol costs nothing and is not coded.
        side: side information, as it stands in the file.
        size: bytes that it takes, side information included, as the writer reckons; 0 where it was read.
    """

    model: str
    raw_bits: int
    first: int
    frequencies: NDArray[np.int64]
    side: bytes
    size: int = 0

    @property
    def is_coded(self) -> bool:
        """Whether the symbols pass through the entropy coder."""
        return self.frequencies.size > 1


class _Offer(NamedTuple):
    """A coding that is priced; its side information is only written if it is taken.

    Args:
        side: writes the side information.
        the rest: as in `TensorCoding`.
    """

    model: str
    raw_bits: int
    first: int
    frequencies: NDArray[np.int64]
    side: Callable[[], bytes]
    size: int


def _uniform(bits: int) -> TensorCoding:
    return TensorCoding("uniform", bits, 0, _WHOLE, b"")


def base_model_names() -> list[str]:
    """Return the names of the models of a sequence that this version reads, sorted."""
    return sorted(["uniform", *_READERS])


def choose_coding(codes: NDArray[Any], bits: int) -> TensorCoding:
    """Return the coding of `codes` that takes the fewest bytes, side information included.

    Args:
        codes: unsigned integers (n,), n >= 1, each 0 .. 2**bits - 1.
        bits: 1 .. 16.
    """
    all_counts = np.bincount(codes, minlength=1 << bits)
    best = _Offer("uniform", bits, 0, _WHOLE, bytes, packed_bytes(codes.size, bits))
    smoothest: tuple[_Offer, NDArray[np.int64]] | None = None
    for raw_bits in range(bits):
        if raw_bits:
            all_counts = all_counts.reshape(-1, 2).sum(axis=1)
        used = np.flatnonzero(all_counts)
        first, size = int(used[0]), int(used[-1] - used[0]) + 1
        if size > MAX_ALPHABET or packed_bytes(codes.size, raw_bits) >= best.size:
            continue
        counts = all_counts[first : first + size]
        smooth = _laplace(counts, raw_bits, first) if size > 2 else None
        # A histogram wins where it takes as much as the Laplacian.
        bar = min(best.size, smooth.size + 1) if smooth else best.size
        best = min(best, *_histograms(counts, raw_bits, first, bar), smooth or best, key=lambda offer: offer.size)
        if smooth and size <= _FITTED_ALPHABET and (not smoothest or smooth.size < smoothest[0].size):
            smoothest = smooth, counts
        if size == 1:
            break
    if smoothest and codes.size >= _FITTED_CODES:  # a Gaussian is dearer to fit: only where a Laplacian does best
        fitted = _gaussian(smoothest[1], smoothest[0].raw_bits, smoothest[0].first)
        best = min(best, fitted, key=lambda offer: offer.size)
    return TensorCoding(*best[:4], best.side(), best.size)


def _coded_bytes(counts: NDArray[np.int64], raw_bits: int, cost: float) -> int:
    """Return the bytes of raw bits and coded symbols, the latter at `cost` 1/4096 bit."""
    return packed_bytes(int(counts.sum()), raw_bits) - int(cost // -(8 * _COST_ONE))


def _median(counts: NDArray[np.int64]) -> int:
    return int(np.searchsorted(np.cumsum(counts), (int(counts.sum()) + 1) // 2))


def _cost(counts: NDArray[np.int64], frequencies: NDArray[np.int64]) -> int:
    """Return what symbols that occur `counts` times cost, in 1/4096 bit."""
    return int(counts @ _COST[frequencies])


def _least_cost(counts: NDArray[np.int64]) -> float:
    """Return what symbols cost at least under any table, in 1/4096 bit: their entropy, less what `_COST` rounds."""
    occurring, total = counts[counts > 0], int(counts.sum())
    return float(occurring @ np.log2(total / occurring)) * _COST_ONE - total


def _histograms(counts: NDArray[np.int64], raw_bits: int, first: int, bar: int) -> Iterator[_Offer]:
    """Yield the histograms of the trimmed `counts` (first and last above 0) that may take less than `bar` bytes."""
    size, occurring = counts.size, np.count_nonzero(counts)
    place = varint(first) + varint(size)
    if size > 1:
        least = 1 + len(place) + least_table_bytes(counts) + _coded_bytes(counts, raw_bits, _least_cost(counts))
        if least >= bar:
            return
    for precision in _PRECISIONS if size > 1 else (0,):
        if occurring <= 1 << precision:
            table = normalise(counts, precision)
            frequencies = table << (PRECISION - precision)
            side = partial(_histogram_side, bytes([raw_bits | precision << 4]) + place, table)
            taken = 1 + len(place) + (table_bytes(table) if size > 1 else 0)
            taken += _coded_bytes(counts, raw_bits, _cost(counts, frequencies))
            yield _Offer("histogram", raw_bits, first, frequencies, side, taken)


def _histogram_side(head: bytes, table: NDArray[np.int64]) -> bytes:
    return head + (write_table(table) if table.size > 1 else b"")


def _laplace(counts: NDArray[np.int64], raw_bits: int, first: int) -> _Offer:
    """Return the Laplacian of the trimmed `counts`."""
    size, centre = counts.size, _median(counts)
    decay = fit_decay(counts, centre)
    side = bytes([raw_bits]) + varint(first) + varint(size) + varint(centre) + decay.to_bytes(2, "little")
    table = laplace_table(size, centre, decay)
    taken = len(side) + _coded_bytes(counts, raw_bits, _cost(counts, table))
    return _Offer("laplace", raw_bits, first, table, lambda: side, taken)


def _gaussian(counts: NDArray[np.int64], raw_bits: int, first: int) -> _Offer:
    """Return the generalised Gaussian that fits the trimmed `counts` best."""
    size, centre = counts.size, _median(counts)
    fits = []
    for shape in SHAPES:
        width, cost = fit_width(counts, centre, shape, lambda f: _cost(counts, f))
        fits.append((cost, shape, width))
    cost, shape, width = min(fits, key=lambda fit: fit[0])
    side = bytes([raw_bits]) + varint(first) + varint(size) + varint(centre) + bytes([shape])
    side += width.to_bytes(2, "little")
    taken = len(side) + _coded_bytes(counts, raw_bits, cost)
    return _Offer("gaussian", raw_bits, first, gaussian_table(size, centre, shape, width), lambda: side, taken)


def read_coding(model: str, bits: int, cursor: ByteCursor) -> TensorCoding:
    """Return the coding whose side information stands at `cursor`; its `side` is left empty.

    Args:
        model: name from the head.
        bits: width of the tensor's codes, 1 .. 16.
        cursor: the side information of the segment.

    Raises:
        VersionError: a model that this version does not know.
        BitstreamError: side information that breaks a rule of clause 5.
    """
    if model == "uniform":
        return _uniform(bits)
    if model not in _READERS:
        raise newer(f"the entropy model '{model}' is not one of {', '.join(base_model_names())}")
    flags, first, size = cursor.byte(), cursor.varint(), cursor.varint()
    raw_bits, parameter = flags & 15, flags >> 4
    if raw_bits >= bits or not 1 <= size <= MAX_ALPHABET or first + size > 1 << (bits - raw_bits):
        raise damaged(f"{size} symbols from {first} and {raw_bits} raw bits do not make {bits}-bit codes")
    return TensorCoding(model, raw_bits, first, _READERS[model](cursor, size, parameter), b"")


def _read_histogram(cursor: ByteCursor, size: int, precision: int) -> NDArray[np.int64]:
    if size == 1 and precision == 0:
        return _WHOLE
    if size == 1 or not 1 <= precision <= PRECISION:
        raise damaged(f"a histogram of {size} symbols has the precision {precision}")
    return read_table(cursor, size, precision) << (PRECISION - precision)


def _read_laplace(cursor: ByteCursor, size: int, parameter: int) -> NDArray[np.int64]:
    centre, decay = cursor.varint(), int.from_bytes(cursor.take(2), "little")
    if parameter or centre >= size:
        raise damaged(f"a Laplace table of {size} symbols has its centre at {centre}")
    return laplace_table(size, centre, decay)


def _read_gaussian(cursor: ByteCursor, size: int, parameter: int) -> NDArray[np.int64]:
    centre, shape, width = cursor.varint(), cursor.byte(), int.from_bytes(cursor.take(2), "little")
    if parameter or centre >= size or not 1 <= shape <= MAX_SHAPE or not width:
        raise damaged(f"a Gaussian of {size} symbols has the centre {centre}, the shape {shape}, the width {width}")
    return gaussian_table(size, centre, shape, width)


_READERS: Final[dict[str, Callable[[ByteCursor, int, int], NDArray[np.int64]]]] = {
    "gaussian": _read_gaussian,
    "histogram": _read_histogram,
    "laplace": _read_laplace,
}
