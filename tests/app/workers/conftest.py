"""The engine on Qt's offscreen platform, closed after each test; no thread may be left."""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import threading
from collections.abc import Iterator

import pytest

from app.core.player import Player
from app.core.settings import Settings
from app.workers.engine import Engine


@pytest.fixture
def make_engine(qtbot, fake_opener) -> Iterator:
    """Return a function that makes a player with its engine."""
    engines = []

    def make(opener=fake_opener, **settings) -> Player:
        player = Player(Settings(**settings))
        engines.append(Engine(player, opener))
        return player

    yield make
    for engine in engines:
        engine.shut_down()
        engine.shut_down()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("nervplay")] == []
