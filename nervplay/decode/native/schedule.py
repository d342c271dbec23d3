"""In which order the strips of a net's convolutions run, and how many rows of its maps have to be kept for that.

The last convolution that has its rows runs its next strip; where none but the first ones have, one of those adds some.
What this order needs is counted while it is worked out, so nothing can be read that is not there.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Reading", "Rows", "schedule"]


class Reading(NamedTuple):
    """What a convolution reads of a map.

    Args:
        map: which one.
        top: rows above that of the output.
        taps: rows in all.
    """

    map: Hashable
    top: int
    taps: int


class Rows(NamedTuple):
    """A convolution, as far as rows matter.

    Args:
        height: rows that it computes, before its shuffle.
        strip: at a time.
        shuffle: rows of its result for each of them.
        readings: what it reads.
        target: the map that it writes.
    """

    height: int
    strip: int
    shuffle: int
    readings: Sequence[Reading]
    target: Hashable


def schedule(
    convolutions: Sequence[Rows], heights: Mapping[Hashable, int]
) -> tuple[NDArray[np.int32], dict[Hashable, int]]:
    """Return the turns, int32 (count, 3): convolution, first and last + 1 row; and rows to keep of the maps written.

    Args:
        convolutions: each behind those that write what it reads; the rows of maps that none writes are there.
        heights: rows of each map.
    """
    done = [0] * len(convolutions)
    writers: dict[Hashable, list[int]] = {}
    readers: dict[Hashable, list[tuple[int, Reading]]] = {}
    for i, rows in enumerate(convolutions):
        writers.setdefault(rows.target, []).append(i)
        for reading in rows.readings:
            readers.setdefault(reading.map, []).append((i, reading))

    def there(name: Hashable) -> int:
        """Rows of a map that are complete."""
        return min((done[i] * convolutions[i].shuffle for i in writers.get(name, ())), default=heights[name])

    def ready(rows: Rows, first: int) -> bool:
        """Whether a strip can run."""
        end = min(first + rows.strip, rows.height)
        needs = ((name, min(end - 1 - top + taps, heights[name])) for name, top, taps in rows.readings)
        return first < rows.height and all(there(name) >= need for name, need in needs)

    turns, kept = [], dict.fromkeys(writers, 1)
    while any(count < rows.height for count, rows in zip(done, convolutions, strict=True)):
        place = next(i for i in reversed(range(len(done))) if ready(convolutions[i], done[i]))
        rows = convolutions[place]
        end = min(done[place] + rows.strip, rows.height)
        turns.append((place, done[place], end))
        written = max(end * rows.shuffle, *(done[i] * convolutions[i].shuffle for i in writers[rows.target]))
        oldest = min(there(rows.target), done[place] * rows.shuffle)
        for i, reading in readers.get(rows.target, ()):
            if done[i] < convolutions[i].height:
                oldest = min(oldest, max(done[i] - reading.top, 0))
        kept[rows.target] = max(kept[rows.target], written - oldest)
        done[place] = end
    return np.array(turns, np.int32), kept
