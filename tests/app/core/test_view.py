"""The view keeps to its ranges and comes back from JSON; what is not sound is refused."""

import pytest

from app.core.view import GAINS, Mode, View, parse_mode
from nervplay.errors import UsageError


def test_names_of_modes() -> None:
    assert [parse_mode(name.upper()) for name in ("a", "wipe", "heat")] == [Mode.A, Mode.WIPE, Mode.HEAT]
    with pytest.raises(UsageError, match="'x' is not a view mode; use one of a, b, wipe"):
        parse_mode("x")


def test_changes_stay_in_range() -> None:
    view = View()
    view.set_split(1.5)
    assert view.split == 1
    view.change_gain(100)
    assert view.gain == GAINS[-1]
    view.change_gain(-1)
    assert view.gain == GAINS[-2]
    view.change_gain(-100)
    assert view.gain == 1
    view.move_centre(-0.1, 0.2)
    assert view.centre == pytest.approx((0.4, 0.7))
    view.move_centre(-3, 3)
    assert view.centre == (0, 1)
    view.one_to_one()
    assert view.zoom == 1
    view.fit()
    assert (view.zoom, view.centre) == (None, (0.5, 0.5))


def test_json_round_trip() -> None:
    view = View(mode=Mode.HEAT, split=0.25, gain=4, zoom=2.5, centre=(0.1, 0.9))
    assert View.from_json(view.to_json()) == view
    assert View.from_json({}) == View()
    assert View.from_json({"zoom": 1e9, "split": -4}) == View(zoom=32.0, split=0.0)


@pytest.mark.parametrize(
    "data",
    [{"mode": "x"}, {"gain": 3}, {"gain": "x"}, {"centre": [1]}, {"centre": 3}, {"zoom": "x"}, {"split": None}],
)  # fmt: skip
def test_unsound_json(data: dict) -> None:
    with pytest.raises(UsageError):
        View.from_json(data)
