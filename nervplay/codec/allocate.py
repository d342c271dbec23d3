"""Mixed precision: which tensor gets how many bytes, so that the picture suffers least for all of them together.

Each tensor offers choices of a size and an error; errors add up. For a price per byte, every tensor takes the choice of
least error + price * size; the price is moved until the sizes fit (Y. Shoham and A. Gersho, IEEE Trans. ASSP 36, 1988).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nervplay.bitstream.layout import StoredTensor

__all__ = ["Choice", "at_price", "cheapest_within", "prices"]


class Choice(NamedTuple):
    """A way to store one tensor.

    Args:
        tensor: what would be stored.
        size: bytes that it takes in the file, as the writer reckons.
        error: what it adds to the mean squared error of a frame.
        note: how it was made, for people ("5.5 bits").
    """

    tensor: StoredTensor
    size: int
    error: float
    note: str


def at_price(choices: Mapping[str, Sequence[Choice]], price: float) -> dict[str, Choice]:
    """Return the best choice for each tensor when a byte costs `price` of mean squared error."""
    return {name: min(offered, key=lambda c: (c.error + price * c.size, c.size)) for name, offered in choices.items()}


def prices(choices: Mapping[str, Sequence[Choice]]) -> list[float]:
    """Return all prices at which a tensor changes its choice, rising; between two of them nothing changes."""
    found: set[float] = set()
    for offered in choices.values():
        rest = sorted(offered, key=lambda c: (c.size, c.error))
        at = min(offered, key=lambda c: (c.error, c.size))  # the choice at price 0
        while True:
            smaller = [c for c in rest if c.size < at.size]
            if not smaller:
                break
            steps = [((c.error - at.error) / (at.size - c.size), c.size, c) for c in smaller]
            slope, _, at = min(steps, key=lambda s: (s[0], s[1]))
            found.add(slope)
    return sorted(found)


def cheapest_within(choices: Mapping[str, Sequence[Choice]], budget: int) -> dict[str, Choice]:
    """Return the choices of least error on the hull whose sizes sum to at most `budget`; the smallest where none fits.

    Args:
        choices: by tensor.
        budget: bytes of all tensors together.
    """
    steps = prices(choices)
    low, high = 0, len(steps)  # so many of the steps down are taken
    while low < high:
        middle = (low + high) // 2
        if sum(c.size for c in _taken(choices, steps, middle).values()) <= budget:
            high = middle
        else:
            low = middle + 1
    return _taken(choices, steps, low)


def _taken(choices: Mapping[str, Sequence[Choice]], steps: Sequence[float], count: int) -> dict[str, Choice]:
    """Return the choices once the first `count` steps down are taken: at a price just above the last of them."""
    if count == 0:
        return at_price(choices, 0.0)
    return at_price(choices, steps[count - 1] * (1 + 1e-9) + 1e-300)
