"""Which network meets a target: a file size, a rate, or a quality. Pure search; fitting and packing are given to it.

A size: the bytes of a packed network follow from its number of parameters and its bits almost alone, long before it is
fitted. So for every candidate number of bits the number of parameters is found whose file has the wanted size, each
candidate is fitted for a short while, and the one whose file decodes best is fitted in full.

A quality: PSNR grows about linearly with the logarithm of the parameters. Short fits of two sizes give the slope, the
full fit the level; while it misses the target, the size is corrected along the slope and fitted again.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from nervplay.errors import UsageError

__all__ = ["BITS", "Choice", "Outcome", "best_for_bytes", "parameters_for_bytes", "parameters_for_psnr"]

BITS = (8, 7, 6)
"""Bits of a weight that are tried for a target size: fewer bits leave room for more weights."""
MARGIN = 0.97
"""Share of a target size that is aimed at: a fitted network takes some percent more or less than a fresh one."""
_STEPS = 6
_CLOSE = 0.01
_SPREAD = 2.0  # sizes of the two short fits, apart
_LEAST_SLOPE = 1.0  # dB per doubling; less is noise, and would ask for absurd sizes
_LARGEST_STEP = 4.0


class Choice(NamedTuple):
    """A network to be fitted: stored parameters, about, and bits of a weight."""

    parameters: int
    bits: int


class Outcome(NamedTuple):
    """What a fit came to: bytes of the file, and PSNR of what it decodes to, in dB."""

    file_bytes: int
    psnr_db: float


def parameters_for_bytes(target: int, bits: int, packed_bytes: Callable[[Choice], int]) -> int:
    """Return the number of parameters whose file has about `target` bytes.

    Args:
        target: wanted size in bytes.
        bits: of a weight.
        packed_bytes: makes a network and returns the size of its file; raises `UsageError` for a size it cannot have.

    Raises:
        UsageError: no network is that small or that large.
    """
    parameters = max(1, round(8 * target / bits))
    for _ in range(_STEPS):
        found = packed_bytes(Choice(parameters, bits))
        if abs(found / target - 1) < _CLOSE:
            break
        parameters = max(1, round(parameters * min(_LARGEST_STEP, max(1 / _LARGEST_STEP, target / found))))
    return parameters


def best_for_bytes(
    target: int, packed_bytes: Callable[[Choice], int], trial: Callable[[Choice], Outcome], bits: tuple[int, ...] = BITS
) -> Choice:
    """Return the choice whose short fit decodes best among those that meet a size.

    Args:
        target: largest size of the file in bytes.
        packed_bytes: see `parameters_for_bytes`.
        trial: fits a choice for a short while, packs it, and measures what the file decodes to.
        bits: candidates.

    Raises:
        UsageError: no candidate has a network of that size; the message is that of the last one.
    """
    found: list[tuple[float, Choice]] = []
    refused: UsageError | None = None
    for candidate in bits:
        try:
            choice = Choice(parameters_for_bytes(round(target * MARGIN), candidate, packed_bytes), candidate)
            found.append((trial(choice).psnr_db, choice))
        except UsageError as error:
            refused = error
    if not found:
        raise refused or UsageError("no number of bits to choose from")
    return max(found)[1]


def parameters_for_psnr(
    target_db: float, start: int, trial: Callable[[int], float], full: Callable[[int], float], *, rounds: int = 3
) -> int:
    """Return the number of parameters whose full fit reaches a PSNR, the last one tried where none does.

    Args:
        target_db: wanted PSNR in dB.
        start: parameters to begin with.
        trial: (parameters) -> PSNR in dB after a short fit.
        full: (parameters) -> PSNR in dB after the full fit.
        rounds: full fits, at most.
    """
    small, large = trial(start), trial(round(start * _SPREAD))
    slope = max(_LEAST_SLOPE, (large - small) / math.log2(_SPREAD))
    parameters, gap = start, target_db - small
    for attempt in range(rounds):
        if attempt or gap > 0:
            factor = 2 ** (gap / slope)
            parameters = max(1, round(parameters * min(_LARGEST_STEP, max(1 / _LARGEST_STEP, factor))))
        gap = target_db - full(parameters)
        if gap <= 0:
            break
    return parameters
