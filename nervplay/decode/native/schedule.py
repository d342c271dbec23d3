"""In which order the strips of convolutions run, and how many rows of their maps have to be kept for that.

The last convolution that has its rows runs its next strip; where none but the first ones have, one of those adds some.
What this order needs is counted while it is worked out, so nothing can be read that is not there.

Several threads need not wait for each other behind every strip: there a convolution counts as ready only if it has
its rows without the strip in front of it in the order, and the two may run at the same time. That takes a strip more of
each map.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervplay.decode.native.library import Op

__all__ = ["Reading", "Rows", "order_chain", "schedule"]


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
    convolutions: Sequence[Rows], heights: Mapping[Hashable, int], *, together: bool = False
) -> tuple[NDArray[np.int32], dict[Hashable, int]]:
    """Return the turns and how many rows of the maps that are written have to be kept.

    Turns are int32 (count, 4): convolution, first and last + 1 row, and how many of the turns must be finished before
    it begins: all that stand before it, or all but one.

    Args:
        convolutions: each behind those that write what it reads; the rows of maps that none writes are there.
        heights: rows of each map that is read.
        together: whether two turns that follow each other may run at the same time.
    """
    done = [0] * len(convolutions)
    before = done  # as it was when the last turn had not run
    writers: dict[Hashable, list[int]] = {}
    readers: dict[Hashable, list[tuple[int, Reading]]] = {}
    for i, rows in enumerate(convolutions):
        writers.setdefault(rows.target, []).append(i)
        for reading in rows.readings:
            readers.setdefault(reading.map, []).append((i, reading))

    def there(name: Hashable, counts: Sequence[int]) -> int:
        """Rows of a map that are complete."""
        return min(counts[i] * convolutions[i].shuffle for i in writers[name]) if name in writers else heights[name]

    def ready(i: int, counts: Sequence[int]) -> bool:
        """Whether the next strip of a convolution can run."""
        rows, first = convolutions[i], done[i]
        end = min(first + rows.strip, rows.height)
        needs = ((name, min(end - 1 - top + taps, heights[name])) for name, top, taps in rows.readings)
        return first < rows.height and all(there(name, counts) >= need for name, need in needs)

    turns: list[tuple[int, int, int, int]] = []
    kept = dict.fromkeys(writers, 1)
    while any(count < rows.height for count, rows in zip(done, convolutions, strict=True)):
        counts = before if together else done
        order = range(len(done) - 1, -1, -1)
        free = next((i for i in order if ready(i, counts)), None)
        place = next(i for i in order if ready(i, done)) if free is None else free
        rows = convolutions[place]
        end = min(done[place] + rows.strip, rows.height)
        turns.append((place, done[place], end, max(len(turns) - (together and free is not None), 0)))
        written = max(end * rows.shuffle, *(done[i] * convolutions[i].shuffle for i in writers[rows.target]))
        oldest = there(rows.target, counts)
        for i, reading in readers.get(rows.target, ()):
            if counts[i] < convolutions[i].height:
                oldest = min(oldest, max(counts[i] - reading.top, 0))
        kept[rows.target] = max(kept[rows.target], written - oldest)
        before, done = done, [*done[:place], end, *done[place + 1 :]]
    return np.array(turns, np.int32), kept


def order_chain(ops: Sequence[Op], *, together: bool) -> NDArray[np.int32]:
    """Return the turns of ops that each read what the one before them writes, and set how many rows of that are kept.

    Args:
        ops: at least one; all but `ring` is there.
        together: see `schedule`.
    """
    rows = [Rows(op.out_height, op.strip, op.shuffle, [Reading(i, op.top, op.kh)], i + 1) for i, op in enumerate(ops)]
    turns, kept = schedule(rows, dict(enumerate(op.height for op in ops)), together=together)
    for i, op in enumerate(ops):
        op.ring = min(kept.get(i, op.height), op.height)
    return turns
