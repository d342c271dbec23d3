"""rANS: any symbols come back, integers are pinned, and what was tampered with is noticed."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nervplay.bitstream.limits import MAX_LANES, MAX_ROWS
from nervplay.bitstream.rans import RansStream, Sequence14, StreamDecoder, choose_lanes, encode_stream
from nervplay.errors import BitstreamError


def table(rng: np.random.Generator, size: int) -> np.ndarray:
    """Frequencies of `size` symbols, none 0, sum 16384."""
    cuts = np.sort(rng.choice(np.arange(1, 16384), size - 1, replace=False))
    return np.diff(np.concatenate([[0], cuts, [16384]]))


def decode(stream: RansStream, sequences: list[Sequence14]) -> list[np.ndarray]:
    decoder = StreamDecoder(stream)
    result = [decoder.decode(s.symbols.size, s.frequencies) for s in sequences]
    decoder.finish()
    return result


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.tuples(st.integers(1, 300), st.integers(1, 64)), min_size=1, max_size=5),
    st.sampled_from([1, 2, 3, 7, 64, 500]),
)
def test_round_trip(seed: int, shapes: list[tuple[int, int]], lanes: int) -> None:
    rng = np.random.default_rng(seed)
    sequences = [Sequence14(rng.integers(0, size, count), table(rng, size)) for count, size in shapes]
    stream = encode_stream(sequences, lanes)
    for sequence, back in zip(sequences, decode(stream, sequences), strict=True):
        assert np.array_equal(sequence.symbols, back)


def test_blocks_are_seamless() -> None:
    rng = np.random.default_rng(1)
    frequencies = table(rng, 200)
    for lanes in (33, 1024):
        symbols = rng.choice(200, 300_001, p=frequencies / 16384)
        sequence = [Sequence14(symbols, frequencies)]
        stream = encode_stream(sequence, lanes)
        assert np.array_equal(decode(stream, sequence)[0], symbols)
        ideal = -np.log2(frequencies[symbols] / 16384).sum() / 8
        assert stream.words.size * 2 + 4 * lanes < ideal * 1.001 + 4 * lanes


def test_the_numbers_are_those_of_the_specification() -> None:
    """Worked by hand with Python integers from clause 6: two lanes, three symbols, one odd row."""
    frequencies = np.array([1, 16000, 383])
    stream = encode_stream([Sequence14(np.array([0, 1, 0]), frequencies)], 2)
    # lane 0, last symbol: x = 65536 < 1 << 18, so x = (65536 << 14) + 0 + 0 = 2**30
    # lane 1: 65536 div 16000 = 4, rest 1536: x = (4 << 14) + 1 + 1536 = 67073
    # lane 0: 2**30 >= 1 << 18: the word 0 leaves, x = 2**14; x = (2**14 << 14) = 2**28
    assert stream.states.tolist() == [1 << 28, 67073]
    assert stream.words.tolist() == [0]


def test_a_state_that_just_reaches_the_limit() -> None:
    """65536 div 4096 << 14 is 1 << 18: the limit of a symbol of frequency 1, which would overflow the state."""
    sequences = [Sequence14(np.array([2, 0]), np.array([4096, 12287, 1]))]
    stream = encode_stream(sequences, 1)
    assert stream.words.tolist() == [0]
    assert decode(stream, sequences)[0].tolist() == [2, 0]


def test_lanes() -> None:
    assert [choose_lanes(n) for n in (1, 4096, 8191, 8192, 3_000_000)] == [1, 1, 1, 2, 512]
    assert choose_lanes(1 << 28) == MAX_LANES
    for streams in (1, 33, 256, 4096):
        for weights in (1, 1000, 100_000, 1 << 20):
            each = weights // streams + 1
            assert streams * math.ceil(each / choose_lanes(each, streams)) <= MAX_ROWS


def stream_and_sequences() -> tuple[RansStream, list[Sequence14]]:
    rng = np.random.default_rng(2)
    sequences = [Sequence14(rng.integers(0, 9, 700), table(rng, 9))]
    return encode_stream(sequences, 4), sequences


@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_bit_is_noticed(seed: int) -> None:
    stream, sequences = stream_and_sequences()
    rng = np.random.default_rng(seed)
    words = stream.words.copy()
    words[rng.integers(words.size)] ^= np.uint16(1 << rng.integers(16))
    with pytest.raises(BitstreamError, match="damaged"):
        decode(RansStream(stream.states, words), sequences)


def test_missing_and_extra_words_and_low_states() -> None:
    stream, sequences = stream_and_sequences()
    with pytest.raises(BitstreamError, match="end too early"):
        decode(RansStream(stream.states, stream.words[:-1]), sequences)
    with pytest.raises(BitstreamError, match="do not end as they must"):
        decode(RansStream(stream.states, np.append(stream.words, np.uint16(1))), sequences)
    states = stream.states.copy()
    states[1] = 65535
    with pytest.raises(BitstreamError, match="below 65536"):
        decode(RansStream(states, stream.words), sequences)
