"""Fields, varints and the cursor."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nervplay.bitstream.packing import ByteCursor, pack_fields, packed_bytes, unpack_fields, varint
from nervplay.errors import BitstreamError


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 16), st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_fields_round_trip(width: int, count: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 1 << width, count)
    raw = pack_fields(values, width)
    assert len(raw) == packed_bytes(count, width)
    assert np.array_equal(unpack_fields(raw, count, width), values)


@pytest.mark.parametrize("width", [1, 3, 11, 16])
def test_fields_over_several_blocks(width: int) -> None:
    values = np.random.default_rng(width).integers(0, 1 << width, 150_001)
    assert np.array_equal(unpack_fields(pack_fields(values, width), values.size, width), values)


def test_least_significant_bit_first_and_only_the_low_bits() -> None:
    assert pack_fields(np.array([1, 2, 7 + 8]), 3) == bytes([0b11_010_001, 0b1])
    assert pack_fields(np.array([0x0102]), 16) == b"\x02\x01"


def test_bits_behind_the_last_field_are_refused() -> None:
    with pytest.raises(BitstreamError, match="not zero"):
        unpack_fields(b"\x09", 1, 3)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**28 - 1))
def test_varint_round_trip(value: int) -> None:
    cursor = ByteCursor(varint(value), "it")
    assert cursor.varint() == value
    cursor.finish()


@pytest.mark.parametrize("raw", [b"\x80\x00", b"\x80\x80\x80\x80\x01", b"\x80", b""])
def test_ill_formed_varints(raw: bytes) -> None:
    with pytest.raises(BitstreamError):
        ByteCursor(raw, "it").varint()


def test_cursor_takes_exactly() -> None:
    cursor = ByteCursor(b"abc", "the thing")
    assert cursor.take(2) == b"ab"
    with pytest.raises(BitstreamError, match="the thing has 1 bytes too many"):
        cursor.finish()
    with pytest.raises(BitstreamError, match="the thing ends too early"):
        cursor.take(2)
