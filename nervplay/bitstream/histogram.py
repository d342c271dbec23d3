"""The "histogram" entropy model: the frequency table itself, in groups of eight (clause 5.4 of the specification)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.packing import ByteCursor, pack_fields, packed_bytes, unpack_fields
from nervplay.bitstream.rans import PRECISION
from nervplay.bitstream.refusal import damaged

__all__ = ["least_table_bytes", "normalise", "read_table", "table_bytes", "write_table"]

_GROUP = 8
_NIBBLE = 4


def normalise(counts: NDArray[np.int64], precision: int) -> NDArray[np.int64]:
    """Return frequencies that sum to 2**precision in proportion to `counts`; what occurs gets at least 1.

    Integers only, hence the same table on every machine.

    Args:
        counts: int64 (A,), non-negative, at most 2**precision of them above 0.
        precision: log2 of the sum.
    """
    total = 1 << precision
    table: NDArray[np.int64] = np.maximum(counts * total // counts.sum(), counts > 0)
    # Rare symbols were rounded up: pay from the most frequent ones. Otherwise something is left: give it to them.
    order = np.argsort(-table, kind="stable")
    missing = total - int(table.sum())
    while missing:
        if missing > 0:
            share = np.full(order.size, missing // order.size)
            share[: missing % order.size] += 1
        else:
            # At most half of a symbol's frequency in one round, so that the shape survives.
            room = np.cumsum((table[order] + 1) // 2 * (table[order] > 1))
            share = -np.diff(np.minimum(room, -missing), prepend=0)
        table[order] += share
        missing = total - int(table.sum())
    return table


def write_table(table: NDArray[np.int64]) -> bytes:
    """Return the coded form of a table of two or more frequencies, int64 (A,), each below 2**14.

    Per group of eight frequencies a 4-bit width; after all widths, the frequencies, each in the width of its group.
    """
    widths = _group_widths(table)
    fields = np.repeat(widths, _GROUP)[: table.size]
    bits = table[:, None] >> np.arange(PRECISION) & 1  # (A, 14), least significant first
    stream = bits[np.arange(PRECISION) < fields[:, None]]
    return pack_fields(widths, _NIBBLE) + np.packbits(stream.astype(np.uint8), bitorder="little").tobytes()


def table_bytes(table: NDArray[np.int64]) -> int:
    """Return the bytes that `write_table` makes of a table."""
    widths = _group_widths(table)
    last = table.size - (widths.size - 1) * _GROUP  # frequencies of the last group
    fields = _GROUP * int(widths.sum()) - (_GROUP - last) * int(widths[-1])
    return packed_bytes(widths.size, _NIBBLE) + packed_bytes(fields, 1)


def least_table_bytes(counts: NDArray[np.int64]) -> int:
    """Return bytes that `write_table` needs at least for a table of `counts`, at any precision.

    A group in which a symbol occurs has one bit or more for each of its symbols; the last may have one symbol only.
    """
    groups = -(-counts.size // _GROUP)
    used = int(np.count_nonzero(np.add.reduceat(counts, np.arange(0, counts.size, _GROUP))))
    return packed_bytes(groups, _NIBBLE) + packed_bytes(_GROUP * (used - 1) + 1, 1)


def _group_widths(table: NDArray[np.int64]) -> NDArray[Any]:
    padded = np.zeros(-(-table.size // _GROUP) * _GROUP, np.int64)
    padded[: table.size] = table
    exponents: NDArray[Any] = np.frexp(padded.reshape(-1, _GROUP).max(axis=1))[1]
    return exponents  # bit lengths: exact for integers this small


def read_table(cursor: ByteCursor, size: int, precision: int) -> NDArray[np.int64]:
    """Return the table that `write_table` wrote, int64 (size,).

    Args:
        cursor: stands at the widths.
        size: number of frequencies, 2 or more.
        precision: log2 of their sum, 1 .. 14.

    Raises:
        BitstreamError: a width of 15, a sum that is not 2**precision, or bytes that end too early.
    """
    groups = -(-size // _GROUP)
    widths = unpack_fields(cursor.take(packed_bytes(groups, _NIBBLE)), groups, _NIBBLE)
    if int(widths.max()) > PRECISION:
        raise damaged("a frequency is over 14 bits wide")
    fields = np.repeat(widths, _GROUP)[:size].astype(np.int64)
    ends = np.cumsum(fields)
    raw = np.frombuffer(cursor.take(packed_bytes(int(ends[-1]), 1)), np.uint8)
    bits = np.unpackbits(raw, bitorder="little")
    if bits[int(ends[-1]) :].any():
        raise damaged("bits behind the frequencies are not zero")
    present = np.arange(PRECISION) < fields[:, None]
    places = (ends - fields)[:, None] + np.arange(PRECISION)
    values = np.where(present, np.append(bits, np.zeros(PRECISION, np.uint8))[np.where(present, places, 0)], 0)
    table: NDArray[np.int64] = (values.astype(np.int64) << np.arange(PRECISION)).sum(axis=1)
    if int(table.sum()) != 1 << precision:
        raise damaged(f"frequencies sum to {int(table.sum())}, not to {1 << precision}")
    return table
