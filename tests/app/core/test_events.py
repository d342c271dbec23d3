"""Listeners are called in order; unknown events are mistakes."""

import pytest

from app.core.events import Events


def test_listeners() -> None:
    events, calls = Events(), []
    events.on("frame", lambda: calls.append(1))
    events.on("frame", lambda: calls.append(2))
    events.on("view", lambda: calls.append(3))
    events.emit("frame")
    assert calls == [1, 2]
    with pytest.raises(KeyError):
        events.on("fly", lambda: None)
