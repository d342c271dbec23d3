"""The search for a size, on encoders whose sizes are formulas."""

import math

from hypothesis import given
from hypothesis import strategies as st

from ffmpeg_bridge.anchor_search import SettingScale, find_setting

SCALE = SettingScale(low=1, high=51, step=0.25, first=26, halving=6)


class Formula:
    """An encoder that halves the size every `halving` steps, less evenly where `bend` is not 0."""

    def __init__(self, halving=7.0, bend=0.0):
        self.halving, self.bend, self.calls = halving, bend, []

    def size(self, setting):
        return max(1, round(1e6 * 2 ** (-(setting + self.bend * math.sin(setting / 5)) / self.halving)))

    def __call__(self, setting):
        assert setting not in self.calls, "the same work twice"
        assert SCALE.low <= setting <= SCALE.high
        assert setting / SCALE.step == round(setting / SCALE.step)
        self.calls.append(setting)
        return self.size(setting)


@given(st.integers(12_000, 850_000), st.floats(4, 9), st.floats(0, 3))
def test_hits_or_comes_as_near_as_it_can(target, halving, bend):
    encode = Formula(halving, bend)
    found = find_setting(encode, target, SCALE)
    assert found in encode.calls
    assert len(encode.calls) <= 8
    reachable = encode.size(SCALE.high) <= target <= encode.size(SCALE.low)
    if reachable:  # one step of the setting is up to 4.5 % of the size, with the bend up to 10 %
        assert abs(encode.size(found) / target - 1) <= 0.06


@given(st.integers(1, 10**9))
def test_beyond_the_ends_it_takes_the_end(target):
    encode = Formula()
    found = find_setting(encode, target, SCALE)
    if target > encode.size(SCALE.low):
        assert found == SCALE.low
    if target < encode.size(SCALE.high):
        assert found == SCALE.high


def test_what_is_known_spares_work():
    encode, known = Formula(), {}
    find_setting(encode, 100_000, SCALE, known=known)
    assert known == {setting: encode.size(setting) for setting in encode.calls}
    again = Formula()
    find_setting(again, 90_000, SCALE, known=known)
    assert len(again.calls) == 1


def test_a_known_setting_is_still_encoded():
    encode = Formula()
    assert find_setting(encode, Formula().size(20), SCALE, known={20.0: Formula().size(20)}) == 20
    assert encode.calls == [20]


def test_content_within_the_tolerance():
    encode = Formula()
    find_setting(encode, round(Formula().size(26) * 1.05), SCALE, tolerance=0.1)
    assert encode.calls == [26]
