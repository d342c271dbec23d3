"""The engine on Qt's offscreen platform, closed after each test; no thread may be left."""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

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


class Official(NamedTuple):
    path: Path
    arguments: str
    frame_count: int
    between: bool


@pytest.fixture(params=["hnerv", "nerv"])
def official(golden: Path, request) -> Official:
    """Checkpoints of two official codes: integers of HNeRV, floats of NeRV, which reads a time."""
    if request.param == "hnerv":
        folder = golden / "hnerv_a"
        return Official(folder / "quant_vid.pth", json.loads((folder / "config.json").read_text())["argv"], 4, False)
    folder = golden / "nerv_a_90x160_readme_like"
    facts = json.loads((folder / "config.json").read_text())
    flags = " ".join([*facts["train_flags"], "--frames", str(facts["n_frames"])])
    return Official(folder / "checkpoint.pth", flags, facts["n_frames"], True)
