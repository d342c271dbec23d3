"""Time as numbers between -1 and 1: the positional encodings of NeRV and of the HNeRV repository.

At base 1.25 and 80 levels the phase reaches 1.4e8, where one rounding more or less gives another feature. So the phases
follow the official roundings exactly, and sine and cosine are taken in float64 and rounded once: the result does not
depend on the processor. The official float32 sine differs from it by at most one unit in the last place.
"""

import numpy as np
from numpy.typing import NDArray

from nervplay.errors import UsageError

__all__ = ["block_encoding", "check_encoding", "interleaved_encoding", "normalised_time"]

_MAX_BASE = 16
_MAX_LEVELS = 200
_MAX_FACTOR = 1e30
_MAX_VALUES = 1 << 26


def normalised_time(frame_count: int) -> NDArray[np.float64]:
    """Return i / T for every frame i, float64 (T,); 0 <= t < 1."""
    return np.arange(frame_count, dtype=np.float64) / frame_count


def check_encoding(frame_count: int, base: float, levels: int) -> None:
    """Refuse an encoding whose table would not fit: a file may ask for anything.

    Args:
        frame_count: T.
        base: ratio of neighbouring frequencies.
        levels: number of frequencies.

    Raises:
        UsageError: a phase beyond float32, or a table of more than 2**26 values (256 MiB).
    """
    if levels and not (0 < base <= _MAX_BASE and levels <= _MAX_LEVELS and base ** (levels - 1) <= _MAX_FACTOR):
        raise UsageError(
            f"an encoding of base {base} with {levels} levels leaves float32; take up to {_MAX_LEVELS} levels and a "
            f"base whose highest power stays below {_MAX_FACTOR:g}"
        )
    if frame_count * 2 * levels > _MAX_VALUES:
        raise UsageError(
            f"{frame_count} frames with {levels} levels of encoding make a table over 256 MiB; cut the clip into parts"
        )


def _factors(base: float, levels: int) -> NDArray[np.float32]:
    """Return base**0 .. base**(levels - 1), each rounded once to float32: (levels,)."""
    return np.array([base**level for level in range(levels)], dtype=np.float64).astype(np.float32)


def interleaved_encoding(time: NDArray[np.float64], base: float, levels: int) -> NDArray[np.float32]:
    """Return the encoding of NeRV (eq. 1) and E-NeRV: sin 0, cos 0, sin 1, cos 1, ...

    Args:
        time: normalised time, float64 (T,); rounded to float32 first, as the official loader does.
        base: b, ratio of neighbouring frequencies.
        levels: l, number of frequencies.

    Returns:
        float32 (T, 2 * levels) in [-1, 1].
    """
    phase = (time.astype(np.float32)[:, None] * _factors(base, levels)) * np.float32(np.pi)
    exact = phase.astype(np.float64)
    table = np.empty((len(time), 2 * levels), dtype=np.float32)
    table[:, 0::2] = np.sin(exact)
    table[:, 1::2] = np.cos(exact)
    return table


def block_encoding(time: NDArray[np.float64], base: float, levels: int) -> NDArray[np.float32]:
    """Return the encoding of the HNeRV repository: all sines, then all cosines; float64 phases, float32 frequencies.

    The official frequencies come from a float32 power function that may miss by one unit in the last place (level 45 of
    base 1.25 on x86, one of 80); here every power is rounded correctly.

    Args:
        time: normalised time, float64 (T,).
        base: ratio of neighbouring frequencies.
        levels: number of frequencies.

    Returns:
        float32 (T, 2 * levels) in [-1, 1].
    """
    frequencies = _factors(base, levels) * np.float32(np.pi)
    phase = time[:, None] * frequencies.astype(np.float64)
    return np.concatenate([np.sin(phase), np.cos(phase)], axis=1).astype(np.float32)
