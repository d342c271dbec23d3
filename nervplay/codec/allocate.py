"""Mixed precision: which tensor gets how many bytes, so that the picture suffers least for all of them together.

Each tensor offers choices of a size and an error; errors add up. For a price per byte, every tensor takes the choice of
least error + price * size; the price is moved until the sizes fit (Y. Shoham and A. Gersho, IEEE Trans. ASSP 36, 1988).
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nervplay.bitstream.layout import StoredTensor

__all__ = ["Choice", "Hull"]


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


class Hull:
    """The best combinations of choices, from the least error to the smallest size; each step down changes one tensor.

    Args:
        choices: by tensor, at least one for each.
    """

    def __init__(self, choices: Mapping[str, Sequence[Choice]]) -> None:
        self._choices = {name: list(offered) for name, offered in choices.items()}
        self._paths = {name: _path(offered) for name, offered in choices.items()}
        slopes = [(step.slope, step.choice.size, name) for name, path in self._paths.items() for step in path[1:]]
        self._order = [name for _, _, name in sorted(slopes, key=lambda s: (s[0], -s[1], s[2]))]

    @property
    def steps(self) -> int:
        """Number of steps from the least error down to the smallest size."""
        return len(self._order)

    def take(self, steps: int) -> dict[str, Choice]:
        """Return the combination after so many steps down, 0 .. `steps`."""
        done = dict.fromkeys(self._paths, 0)
        for name in self._order[:steps]:
            done[name] += 1
        return {name: path[done[name]].choice for name, path in self._paths.items()}

    def within(self, budget: int) -> dict[str, Choice] | None:
        """Return the combination of least error whose sizes sum to at most `budget` bytes; None where none does.

        What the steps leave of the budget goes to whichever tensors it makes better, the largest gain first.
        """
        fitting = bisect_left(range(self.steps + 1), True, key=lambda n: self.size(n) <= budget)
        if fitting > self.steps:
            return None
        taken = self.take(fitting)
        left = budget - sum(choice.size for choice in taken.values())
        while True:
            better = [
                (taken[name].error - choice.error, name, choice)
                for name, offered in self._choices.items()
                for choice in offered
                if choice.error < taken[name].error and choice.size - taken[name].size <= left
            ]
            if not better:
                return taken
            _, name, choice = max(better, key=lambda b: (b[0], b[1], -b[2].size))
            left -= choice.size - taken[name].size
            taken[name] = choice

    def size(self, steps: int) -> int:
        """Return the bytes of all tensors together after so many steps down."""
        return sum(choice.size for choice in self.take(steps).values())


class _Step(NamedTuple):
    slope: float  # error per byte that this step down costs
    choice: Choice


def _path(offered: Sequence[Choice]) -> list[_Step]:
    """Return the lower convex hull of error over size, from the least error to the smallest size; slopes rise."""
    at = min(offered, key=lambda c: (c.error, c.size))
    path = [_Step(0.0, at)]
    while smaller := [c for c in offered if c.size < at.size]:
        path.append(_steepest(at, smaller))
        at = path[-1].choice
    return path


def _steepest(at: Choice, smaller: Sequence[Choice]) -> _Step:
    """Return the step down from `at` that costs least error per byte; the longest of several."""
    steps = (_Step((c.error - at.error) / (at.size - c.size), c) for c in smaller)
    return min(steps, key=lambda step: (step.slope, step.choice.size))
