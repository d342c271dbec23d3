"""Finding the quality setting at which an encoder makes a file of a wanted size.

The logarithm of the size falls almost along a straight line as the setting (CRF) rises, so a guess between two tries,
one larger and one smaller than wanted, is rarely far off: two to five encodes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["SettingScale", "find_setting"]

_MOST_TRIES = 8


@dataclass(frozen=True, kw_only=True)
class SettingScale:
    """An encoder's quality setting; larger values make smaller files.

    Args:
        low: smallest value to try.
        high: largest value that the encoder takes.
        step: distance of two values that the encoder tells apart.
        first: the first guess.
        halving: by how much the setting rises, about, for half the size.
    """

    low: float
    high: float
    step: float
    first: float
    halving: float

    def snapped(self, value: float) -> float:
        """Return the nearest value that the encoder can have."""
        return round(round(min(max(value, self.low), self.high) / self.step) * self.step, 6)


def find_setting(
    encode: Callable[[float], int],
    target: int,
    scale: SettingScale,
    *,
    known: dict[float, int] | None = None,
    tolerance: float = 0.02,
) -> float:
    """Return the setting whose file comes nearest to `target` bytes, of all that were tried.

    Args:
        encode: encodes with a setting and returns the size in bytes; called at least once, never twice for one setting.
        target: bytes.
        scale: what the encoder takes.
        known: sizes by setting from earlier searches on the same frames; spares guesses, and is added to.
        tolerance: relative distance at which the search is content.
    """
    sizes = known if known is not None else {}
    tried: dict[float, float] = {}
    while len(tried) < _MOST_TRIES:
        setting = _guess(sizes, target, scale, tried)
        if setting in tried:
            break
        sizes[setting] = encode(setting)
        tried[setting] = _distance(sizes[setting], target)
        if tried[setting] <= tolerance:
            break
    return min(tried, key=lambda setting: tried[setting])


def _distance(size: int, target: int) -> float:
    """Return how far a size is from the target, relative to it."""
    return abs(size - target) / target


def _guess(sizes: dict[float, int], target: int, scale: SettingScale, tried: dict[float, float]) -> float:
    """Return the setting to try next; one of `tried` when there is nothing better."""
    larger = max((setting for setting, size in sizes.items() if size >= target), default=None)
    smaller = min((setting for setting, size in sizes.items() if size < target), default=None)
    if larger is None and smaller is None:
        return scale.snapped(scale.first)
    if larger is None or smaller is None:
        near = larger if smaller is None else smaller
        assert near is not None
        guess = scale.snapped(near + scale.halving * math.log2(sizes[near] / target))
        if guess == near and near in tried:  # the target lies less than a step away: look at the neighbour on its side
            guess = scale.snapped(near + scale.step * (1 if sizes[near] >= target else -1))
        return guess
    share = math.log(sizes[larger] / target) / math.log(sizes[larger] / sizes[smaller])
    guess = scale.snapped(larger + share * (smaller - larger))
    inner = [value for value in (guess, guess + scale.step, guess - scale.step) if larger < value < smaller]
    return inner[0] if inner else min((larger, smaller), key=lambda setting: _distance(sizes[setting], target))
