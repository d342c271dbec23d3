"""The order of strips: every row is there when it is read, and none is written over before."""

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


@given(nets())
def test_rows_are_there(net: tuple[list[Rows], dict[str, int]]) -> None:
    units, heights = net
    turns, kept = schedule(units, heights)
    done = [0] * len(units)
    rings = {name: np.full((kept[name], len(units)), -1) for name in kept}
    for unit, first, end in turns:
        rows = units[unit]
        assert first == done[unit]
        assert first < end <= min(first + rows.strip, rows.height)
        for name, top, taps in rows.readings:
            for y in range(max(first - top, 0), min(end - 1 - top + taps, heights[name])):
                for writer in (i for i, other in enumerate(units) if other.target == name):
                    assert rings[name][y % kept[name], writer] == y
        for y in range(first * rows.shuffle, end * rows.shuffle):
            rings[rows.target][y % kept[rows.target], unit] = y
        done[unit] = end
    assert done == [rows.height for rows in units]


def test_long_maps_are_not_kept() -> None:
    units = [Rows(900, 6, 1, [Reading(i, 1, 3)], i + 1) for i in range(6)]
    units += [Rows(900, 6, 1, [Reading(6, 1, 3), Reading(1, 0, 1)], 7)]
    _, kept = schedule(units, dict.fromkeys(range(8), 900))
    assert max(kept.values()) < 60
    assert kept[6] < 20
