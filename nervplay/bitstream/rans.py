"""Interleaved rANS over integers: symbols to 16-bit words and back, the same on every machine.

Source: J. Duda, "Asymmetric numeral systems: entropy coding combining speed of Huffman coding with compression rate of
arithmetic coding", arXiv:1311.2540, eq. (4) and (5) of the range variant; interleaving as in F. Giesen, "Interleaved
entropy coders", arXiv:1402.3392.  docs/spec/nerv-format.md, clause 6.

One stream serves many sequences. L lanes hold a state x each, 2**16 <= x < 2**32. A sequence is laid out in rows of L
symbols; its last row may be shorter and then uses the first lanes only. Frequencies sum to 2**14 (M):

    decode  slot = x mod M; s = symbol at slot; x = f[s] * (x div M) + slot - c[s]; if x < 2**16: x = x * 2**16 + word
    encode  the mirror, from the last symbol to the first; words are written backwards

All lanes start (for the encoder) and must end (for the decoder) at x = 2**16.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.limits import MAX_LANES, MAX_ROWS
from nervplay.bitstream.refusal import damaged

__all__ = ["PRECISION", "RansStream", "Sequence14", "StreamDecoder", "choose_lanes", "encode_stream"]

PRECISION = 14
"""log2 of the sum of a frequency table."""

_TOTAL = 1 << PRECISION
_LOW = 1 << 16
_BLOCK = 1 << 18  # symbols per block of the decoder: what fits the second-level cache, and bounds its scratch memory
_SYMBOLS_PER_LANE = 4096
_ROWS_AIM = MAX_ROWS // 4


class Sequence14(NamedTuple):
    """Symbols under one table: int array (n,) of 0 .. A-1, and the table, int64 (A,) that sums to 2**14."""

    symbols: NDArray[Any]
    frequencies: NDArray[np.int64]


class RansStream(NamedTuple):
    """The coded form: states uint32 (L,) as the decoder finds them, words uint16 (any) in the decoder's order."""

    states: NDArray[np.uint32]
    words: NDArray[np.uint16]


def choose_lanes(symbols: int, streams: int = 1) -> int:
    """Return the number of lanes of a stream: a power of two, 1 .. 4096.

    A lane costs 4 bytes, with 4096 symbols of 6 bits about 0.1 %; a row costs the decoder the same time whatever its
    width. A file of more than 16 streams gets fewer symbols per lane: all its rows together stay below `MAX_ROWS`.

    Args:
        symbols: symbols of this stream.
        streams: streams of the file, 1 .. 4096.
    """
    per_lane = min(_SYMBOLS_PER_LANE, _ROWS_AIM // streams)
    return min(MAX_LANES, 1 << max(0, (symbols // per_lane).bit_length() - 1))


def encode_stream(sequences: Sequence[Sequence14], lanes: int) -> RansStream:
    """Code all sequences, in order, as one stream of `lanes` lanes.

    Args:
        sequences: symbols whose frequency is 0 are a mistake of the caller.
        lanes: 1 .. 4096.
    """
    state = np.full(lanes, _LOW, np.uint64)
    out = np.empty(sum(s.symbols.size for s in sequences), np.uint16)  # at most one word leaves per symbol
    end = out.size
    for symbols, frequencies in reversed(sequences):
        f_of = frequencies.astype(np.uint64)
        c_of = (np.cumsum(frequencies) - frequencies).astype(np.uint64)
        rest_of = np.uint64(_TOTAL) - f_of  # M * q + r = x + (M - f) * q, since r = x - f * q: one product less
        assert bool((frequencies[symbols] > 0).all()), "a symbol without frequency cannot be coded"
        for start in range((symbols.size - 1) // _aligned(lanes) * _aligned(lanes), -1, -_aligned(lanes)):
            block = symbols[start : start + _aligned(lanes)]
            f, c, rest = f_of[block], c_of[block], rest_of[block]
            limit = f << np.uint64(32 - PRECISION)
            for low in range((block.size - 1) // lanes * lanes, -1, -lanes):
                row = slice(low, min(low + lanes, block.size))
                x = state[: row.stop - low]
                full = np.flatnonzero(x >= limit[row])
                if full.size:
                    large = x[full]
                    out[end - full.size : end] = large  # stored modulo 2**16: the low word
                    end -= full.size
                    x[full] = large >> np.uint64(16)
                x += x // f[row] * rest[row]
                x += c[row]
    return RansStream(state.astype(np.uint32), out[end:])


def _aligned(lanes: int) -> int:
    """Return the symbols of a block: a whole number of rows."""
    return max(1, _BLOCK // lanes) * lanes


class StreamDecoder:
    """Reads the sequences of one stream back, in the order in which they were given to `encode_stream`.

    Args:
        stream: states and words as found in a file.

    Raises:
        BitstreamError: a state outside 2**16 .. 2**32 - 1.
    """

    def __init__(self, stream: RansStream) -> None:
        if stream.states.size and int(stream.states.min()) < _LOW:
            raise damaged("a rANS state is below 65536")
        self._state = stream.states.astype(np.uint32)
        self._words = stream.words.astype(np.uint32)
        self._next = 0

    def decode(self, count: int, frequencies: NDArray[np.int64]) -> NDArray[np.uint16]:
        """Return the next `count` symbols, uint16 (count,).

        Args:
            count: number of symbols; the caller has bounded it.
            frequencies: int64 (A,), A <= 65536, none negative, sum 2**14.

        Raises:
            BitstreamError: the words end too early.
        """
        symbol_at = np.repeat(np.arange(frequencies.size, dtype=np.uint16), frequencies)
        f_at = np.repeat(frequencies, frequencies).astype(np.uint32)
        c_at = np.repeat(np.cumsum(frequencies) - frequencies, frequencies)
        offset_at = (np.arange(_TOTAL) - c_at).astype(np.uint32)
        symbols = np.empty(count, np.uint16)
        step = _aligned(self._state.size)
        for start in range(0, count, step):
            slots = self._slots(min(step, count - start), f_at, offset_at)
            np.take(symbol_at, slots, out=symbols[start : start + slots.size], mode="clip")
        return symbols

    def _slots(self, count: int, f_at: NDArray[np.uint32], offset_at: NDArray[np.uint32]) -> NDArray[np.uint16]:
        """Advance the lanes over `count` symbols; return x mod M before each step, uint16 (count,)."""
        slots = np.empty(count, np.uint16)
        lanes, words, position = self._state.size, self._words, self._next
        mask, shift, low_end, word_bits = np.uint32(_TOTAL - 1), np.uint32(PRECISION), np.uint32(_LOW), np.uint32(16)
        slot, f, offset = (np.empty(lanes, np.uint32) for _ in range(3))
        for low in range(0, count, lanes):
            width = min(lanes, count - low)
            if width < lanes:
                slot, f, offset = slot[:width], f[:width], offset[:width]
            x = self._state[:width]
            np.bitwise_and(x, mask, out=slot)
            slots[low : low + width] = slot
            f_at.take(slot, out=f, mode="clip")
            offset_at.take(slot, out=offset, mode="clip")
            x >>= shift
            x *= f
            x += offset
            short = (x < low_end).nonzero()[0]
            if short.size:
                taken = words[position : position + short.size]
                if taken.size < short.size:
                    raise damaged("the coded weights end too early")
                x[short] = x[short] << word_bits | taken
                position += short.size
        self._next = position
        return slots

    def finish(self) -> None:
        """Check that all words were read and every lane came back to 2**16.

        Raises:
            BitstreamError: it is not so: states, words or tables are not those that were written.
        """
        if self._next != self._words.size or bool((self._state != _LOW).any()):
            raise damaged("the coded weights do not end as they must")
