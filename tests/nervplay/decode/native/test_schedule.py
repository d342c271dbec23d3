"""The order of strips: every row is there when it is read, and none is written over before."""

from collections.abc import Hashable
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nervplay.decode.native.schedule import Reading, Rows, schedule

TAPS = st.sampled_from([(0, 1), (1, 3), (2, 5), (0, 3)])


@st.composite
def nets(draw: st.DrawFn) -> tuple[list[Rows], dict[str, int]]:
    """Convolutions that read any maps before them; each map of its own height, some written by two."""
    heights = {"in": draw(st.integers(3, 20)), "side": 0}
    heights["side"] = heights["in"]
    units: list[Rows] = []
    for number in range(draw(st.integers(1, 7))):
        source = draw(st.sampled_from(sorted(heights)))
        top, taps = draw(TAPS)
        readings = [Reading(source, top, taps)]
        height = heights[source] + 2 * top - taps + 1
        if height < 1:
            continue
        same = [name for name, rows in heights.items() if rows == height and name != source]
        if same and draw(st.booleans()):
            readings.append(Reading(draw(st.sampled_from(sorted(same))), 0, 1))
        shuffle, strip = draw(st.sampled_from([1, 1, 2, 3])), draw(st.integers(1, 7))
        heights[f"map {number}"] = height * shuffle
        units += [Rows(height, strip, shuffle, readings, f"map {number}")] * draw(st.integers(1, 2))
    return units, heights


class Rings:
    """The rows that exist of each map, by writer."""

    def __init__(self, units: list[Rows], heights: dict[str, int], kept: dict[Hashable, int]) -> None:
        self._units, self._heights, self._kept = units, heights, kept
        self.rows = {name: np.full((kept[name], len(units)), -1) for name in kept}

    def run(self, unit: int, first: int, end: int) -> None:
        """Check that all is there that a turn reads, and write what it makes."""
        rows, kept = self._units[unit], self._kept
        for name, top, taps in rows.readings:
            for y in range(max(first - top, 0), min(end - 1 - top + taps, self._heights[name])):
                for writer in (i for i, other in enumerate(self._units) if other.target == name):
                    assert self.rows[name][y % kept[name], writer] == y
        for y in range(first * rows.shuffle, end * rows.shuffle):
            self.rows[rows.target][y % kept[rows.target], unit] = y

    def copy(self) -> "Rings":
        """Return the same rows, to run other turns on."""
        other = Rings(self._units, self._heights, self._kept)
        other.rows = {name: rows.copy() for name, rows in self.rows.items()}
        return other


@given(nets(), st.booleans())
def test_rows_are_there(net: tuple[list[Rows], dict[str, int]], together: bool) -> None:
    units, heights = net
    turns, kept = schedule(units, heights, together=together)
    done, rings = [0] * len(units), Rings(units, heights, kept)
    for number, (unit, first, end, after) in enumerate(turns):
        assert first == done[unit]
        assert first < end <= min(first + units[unit].strip, units[unit].height)
        assert after in ((max(number - 1, 0), number) if together else (number,))
        rings.run(unit, first, end)
        done[unit] = end
    assert done == [rows.height for rows in units]


@given(nets())
def test_turns_that_may_run_together_do_not_touch_each_other(net: tuple[list[Rows], dict[str, int]]) -> None:
    """The second one may be through before the first one begins: both find all that they read, and leave the same."""
    units, heights = net
    turns, kept = schedule(units, heights, together=True)
    rings = Rings(units, heights, kept)
    for number, (first, second) in enumerate(pairwise(turns)):
        swapped = rings.copy()
        rings.run(*first[:3])
        if second[3] > number:
            continue  # it waits for the first one
        swapped.run(*second[:3])
        swapped.run(*first[:3])
        ordered = rings.copy()
        ordered.run(*second[:3])
        assert all(np.array_equal(rows, swapped.rows[name]) for name, rows in ordered.rows.items())


def test_threads_seldom_wait_for_each_other() -> None:
    units = [Rows(300, 6, 2, [Reading(0, 1, 3)], 1), Rows(600, 6, 1, [Reading(1, 1, 3)], 2)]
    turns, kept = schedule(units, {0: 300, 1: 600}, together=True)
    assert (turns[:, 3] == np.arange(len(turns))).sum() < 5
    _, alone = schedule(units, {0: 300, 1: 600})
    assert alone[1] < kept[1] <= alone[1] + 2 * 6 + 6


def test_long_maps_are_not_kept() -> None:
    units = [Rows(900, 6, 1, [Reading(i, 1, 3)], i + 1) for i in range(6)]
    units += [Rows(900, 6, 1, [Reading(6, 1, 3), Reading(1, 0, 1)], 7)]
    _, kept = schedule(units, dict.fromkeys(range(8), 900))
    assert max(kept.values()) < 60
    assert kept[6] < 20
