"""The arithmetic decoder against an encoder that follows the coder's definition bit by bit."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nervplay.codec.carryless import decode_symbols, integer_cdf


def histogram(symbols: NDArray[np.int64], size: int) -> NDArray[np.float32]:
    counts = np.bincount(symbols, minlength=size)
    return (np.concatenate([[0], np.cumsum(counts)]).astype(np.float32) / np.float32(counts.sum())).astype(np.float32)


def encode(symbols: NDArray[np.int64], cdf: list[int]) -> bytes:
    """32-bit registers, one bit at a time, pending bits for the middle case; two more bits end the stream."""
    bits: list[int] = []
    low, high, pending = 0, 0xFFFFFFFF, 0

    def emit(bit: int) -> None:
        nonlocal pending
        bits.extend([bit] + [1 - bit] * pending)
        pending = 0

    for symbol in symbols.tolist():
        span = high - low + 1
        end = 0x10000 if symbol == len(cdf) - 2 else cdf[symbol + 1]
        high = low - 1 + ((span * end) >> 16)
        low += (span * cdf[symbol]) >> 16
        while True:
            if high < 1 << 31 or low >= 1 << 31:
                emit(low >> 31)
            elif low >= 1 << 30 and high < 3 << 30:
                pending += 1
                low, high = low - (1 << 30), high - (1 << 30)
            else:
                break
            low, high = (low << 1) & 0xFFFFFFFF, ((high << 1) & 0xFFFFFFFF) | 1
    pending += 1
    emit(0 if low < 1 << 30 else 1)
    return np.packbits(np.array(bits, dtype=np.uint8)).tobytes()


@given(st.lists(st.integers(0, 40), min_size=1, max_size=400))
def test_symbols_come_back(values: list[int]) -> None:
    symbols = np.unique(values, return_inverse=True)[1]
    cdf = integer_cdf(histogram(symbols, int(symbols.max()) + 1))
    assert np.array_equal(decode_symbols(encode(symbols, cdf), cdf, len(symbols)), symbols)


@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_lopsided_and_long_streams_come_back(common: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    symbols = (rng.random(600) < 1 / (common + 1)).astype(np.int64)
    symbols[0], symbols[-1] = 0, 1
    cdf = integer_cdf(histogram(symbols, 2))
    assert np.array_equal(decode_symbols(encode(symbols, cdf), cdf, len(symbols)), symbols)


def test_the_middle_case_comes_back() -> None:
    """Three symbols around one half keep low below and high above it for long."""
    cdf = [0, 0x7FF0, 0x8010, 0]
    symbols = np.array([1] * 40 + [0, 2, 1, 1, 0] * 5)
    assert np.array_equal(decode_symbols(encode(symbols, cdf), cdf, len(symbols)), symbols)


def test_one_symbol_needs_one_byte() -> None:
    cdf = integer_cdf(np.array([0.0, 1.0], np.float32))
    assert cdf == [0, 0]
    assert decode_symbols(b"\x40", cdf, 5).tolist() == [0] * 5
    assert encode(np.zeros(5, np.int64), cdf) == b"\x40"


def test_frequencies_are_rounded_half_to_even_in_float32() -> None:
    # 65536 - 2 = 65534 times 0.25 is 16383.5 -> 16384, plus 1; times .75 is 49150.5 -> 49150
    assert integer_cdf(np.array([0.0, 0.25, 1.0], np.float32)) == [0, 16385, 0]
    assert integer_cdf(np.array([0.0, 0.75, 1.0], np.float32)) == [0, 49151, 0]


@given(st.binary(max_size=40), st.lists(st.integers(1, 60000), min_size=1, max_size=20, unique=True))
def test_any_bytes_give_symbols_of_the_alphabet(data: bytes, edges: list[int]) -> None:
    cdf = [0, *sorted(edges), 0]
    assert all(a < b for a, b in pairwise(cdf[:-1]))
    symbols = decode_symbols(data, cdf, 300)
    assert symbols.min() >= 0
    assert symbols.max() <= len(edges)


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_bits_behind_the_end_are_zero(cut: int) -> None:
    symbols = np.arange(64) % 7
    cdf = integer_cdf(histogram(symbols, 7))
    data = encode(symbols, cdf)[:-cut]
    assert np.array_equal(decode_symbols(data, cdf, 64), decode_symbols(data + bytes(50), cdf, 64))
