"""Keys: lists with commas in them, changes, conflicts, taking keys over, going back."""

import pytest

from app.core.keymap import Keymap, join_keys, split_keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [("", ()), ("A", ("A",)), ("., Right", (".", "Right")), (",, Left", (",", "Left")), ("Alt+,", ("Alt+,",)),
     ("Alt+,, X", ("Alt+,", "X")), ("Ctrl++, Ctrl+=", ("Ctrl++", "Ctrl+=")), ("A, A", ("A",)),
     ("+, =", ("+", "=")), ("X, Ctrl+,", ("X", "Ctrl+,"))],
)  # fmt: skip
def test_lists_of_keys(text: str, keys: tuple[str, ...]) -> None:
    assert split_keys(text) == keys
    assert split_keys(join_keys(keys)) == keys


def test_usual_keys_and_changes() -> None:
    keymap = Keymap({"play": "Ctrl+Space", "gone": "X"})
    assert keymap.keys("play") == ("Ctrl+Space",)
    assert keymap.keys("step-back") == (",", "Left")
    assert keymap.owner("space") is None
    assert keymap.owner("LEFT") == "step-back"
    assert keymap.changed() == {"play": "Ctrl+Space"}


def test_conflicts() -> None:
    keymap = Keymap()
    assert keymap.assign("play", ("w",)) == ["w belongs to 'Wipe'"]
    assert keymap.keys("play") == ("Space",)
    assert keymap.assign("play", ("w",), take=True) == []
    assert keymap.keys("mode-wipe") == ()
    assert keymap.changed() == {"play": "w", "mode-wipe": ""}
    assert Keymap(keymap.changed()).keys("mode-wipe") == ()
    assert keymap.reset("mode-wipe") == ["W belongs to 'Play or pause'"]
    assert keymap.reset("play") == []
    assert keymap.reset("mode-wipe") == []
    assert keymap.changed() == {}
