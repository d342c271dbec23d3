"""The arithmetic decoder of official HiNeRV bitstreams: what torchac 0.9.3 wrote, read without it.

A carry-less binary arithmetic coder with 32-bit registers and 16-bit frequencies (Witten, Neal and Cleary, 1987), most
significant bit first. One static histogram per tensor. Only integers decide: the same symbols on every machine.
"""

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

__all__ = ["decode_symbols", "integer_cdf"]

_MASK = 0xFFFFFFFF
_TOP = 0x80000000
_LOWER = 0x7FFFFFFF


def integer_cdf(cdf: NDArray[np.float32]) -> list[int]:
    """Return the frequencies that a stored cumulative distribution stands for.

    Args:
        cdf: float32 (S + 1,), from 0 to 1, for S symbols; S at most 65535.

    Returns:
        S + 1 integers; symbol s holds cdf[s] .. cdf[s + 1] of 65536. The last one wraps to 0, as it does in 16 bits.
    """
    scaled = np.rint(cdf * np.float32(65536 - (len(cdf) - 1))).astype(np.int64) + np.arange(len(cdf))
    result: list[int] = (scaled & 0xFFFF).tolist()
    return result


def decode_symbols(data: bytes, cdf: list[int], count: int) -> NDArray[np.int64]:
    """Return decoded symbols, int64 (count,), each 0 .. S - 1; bits behind the end of `data` read as 0.

    The published decoder renews its registers bit by bit. Here all leading bits that low and high share leave at once;
    then all bits of the middle case, in which low is 01.. and high is 10.. (a quarter is taken away, the rest doubled).

    Args:
        data: one coded tensor.
        cdf: S + 1 frequencies of `integer_cdf`, rising but for the last.
        count: number of symbols.
    """
    starts = cdf[:-1]
    ends = [*cdf[1:-1], 0x10000]
    low, high, value = 0, _MASK, int.from_bytes(data[:4].ljust(4, b"\0"))
    ahead, held, position = 0, 0, 4  # bits read ahead, their number, the next byte
    out = np.empty(count, dtype=np.int64)
    for i in range(count):
        span = high - low + 1
        symbol = bisect_right(starts, (((value - low + 1) << 16) - 1) // span) - 1
        out[i] = symbol
        high = low - 1 + ((span * ends[symbol]) >> 16)
        low += (span * starts[symbol]) >> 16
        shared = 32 - (low ^ high).bit_length()
        low = low << shared & _MASK
        high = (high << shared & _MASK) | ((1 << shared) - 1)
        middle = 31 - ((~low | high) & _LOWER).bit_length()
        low = low << middle & _LOWER
        high = (high << middle & _MASK) | _TOP | ((1 << middle) - 1)
        need = shared + middle
        if held < need:
            ahead = ahead << 64 | int.from_bytes(data[position : position + 8].ljust(8, b"\0"))
            held += 64
            position += 8
        held -= need
        fresh = ahead >> held
        ahead &= (1 << held) - 1
        # (v << 1) - 2**31, `middle` times, behind the bits that left.
        kept = value & (_MASK >> shared)
        value = ((kept << need) | fresh) - (((1 << middle) - 1) << 31)
    return out
