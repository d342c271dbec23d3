"""Frequency tables: normalised by integers, stored compactly, read with care."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nervplay.bitstream.histogram import least_table_bytes, normalise, read_table, table_bytes, write_table
from nervplay.bitstream.packing import ByteCursor
from nervplay.errors import BitstreamError

counts = st.lists(st.sampled_from([0, 1, 2, 5, 60, 3000, 10**6]), min_size=2, max_size=100).filter(any).map(np.array)


@settings(max_examples=60, deadline=None)
@given(counts, st.integers(7, 14))
def test_normalise(values: np.ndarray, precision: int) -> None:
    result = normalise(values, precision)
    assert result.sum() == 1 << precision
    assert np.array_equal(result > 0, values > 0)
    order = np.argsort(values, kind="stable")
    assert (np.diff(result[order]) >= -1).all(), "what occurs more often is not rarer by more than a rounding"


def test_normalise_pays_rare_symbols_from_frequent_ones() -> None:
    assert normalise(np.array([10**6, 1, 0, 1]), 7).tolist() == [126, 1, 0, 1]
    assert normalise(np.array([1] * 100 + [50]), 7).tolist() == [1] * 100 + [28]
    assert normalise(np.array([1, 1, 1]), 8).tolist() == [86, 85, 85]


@settings(max_examples=60, deadline=None)
@given(counts, st.integers(7, 14))
def test_table_round_trip(values: np.ndarray, precision: int) -> None:
    table = normalise(values, precision)
    if table.max() >= 1 << 14:
        return  # a single symbol: trimmed to a table of one by the caller
    written = write_table(table)
    assert least_table_bytes(values) <= len(written) == table_bytes(table)
    cursor = ByteCursor(written, "it")
    assert np.array_equal(read_table(cursor, table.size, precision), table)
    cursor.finish()


def test_table_bytes_of_the_specification() -> None:
    """Ten frequencies: widths 3 and 1, then eight fields of 3 bits and two of 1."""
    table = np.array([1, 2, 3, 4, 5, 6, 7, 2, 1, 1])
    assert write_table(table) == bytes([0x13, 0b11_010_001, 0b0_101_100_0, 0b010_111_11, 0b11])


def test_the_least_a_table_takes() -> None:
    """128 frequencies of 1 bit, 16 widths: 24 bytes, as few as there can be."""
    ones = np.ones(128, np.int64)
    assert least_table_bytes(ones) == table_bytes(normalise(ones, 7)) == 24
    assert least_table_bytes(ones[:121]) == 24, "the last group has one symbol"


def test_hostile_tables() -> None:
    good = write_table(np.array([100, 28]))
    with pytest.raises(BitstreamError, match="sum to 128"):
        read_table(ByteCursor(good, "it"), 2, 8)
    with pytest.raises(BitstreamError, match="over 14 bits"):
        read_table(ByteCursor(b"\x0f" + bytes(9), "it"), 2, 14)
    with pytest.raises(BitstreamError, match="not zero"):
        read_table(ByteCursor(good[:-1] + bytes([good[-1] | 0x80]), "it"), 2, 7)
    with pytest.raises(BitstreamError, match="too early"):
        read_table(ByteCursor(good[:-1], "it"), 2, 7)
    with pytest.raises(BitstreamError, match="sum to 0"):
        read_table(ByteCursor(b"\x00", "it"), 2, 7)
