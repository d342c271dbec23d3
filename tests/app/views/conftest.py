"""Widgets on Qt's offscreen platform; under Xvfb the same tests run with a real window system (see test_xvfb.py)."""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QWidget

from app.core.cache import Key, Picture
from app.core.facts import MediaFacts
from app.core.player import Player
from app.core.slot import Alignment, OpenRequest, Slot
from app.core.sources import Kind, SourceRef
from app.main import keep_triton_out
from nervplay.video import VideoSpec

if os.environ["QT_QPA_PLATFORM"] != "offscreen":
    keep_triton_out()  # as the player does: with software GL under Xvfb the two would crash


class IdleBackend:
    """A backend that does nothing."""

    def open(self, slot: Slot, request: OpenRequest) -> None: ...

    def close(self, slot: Slot) -> None: ...

    def set_precision(self, slot: Slot, precision: str, device: str) -> None: ...

    def time_stages(self, slot: Slot) -> None: ...

    def want(self, slot: Slot, keys: Sequence[Key]) -> None: ...

    def measure(self, frame: int, a: Picture, b: Picture, names: Sequence[str], ticket: tuple) -> bool:
        return False


def show_pictures(player: Player, pictures: Sequence[np.ndarray]) -> None:
    """Let a player show these, as A, B, C, D."""
    for slot, picture in zip(player.slots, pictures, strict=False):
        height, width, _ = picture.shape
        spec = VideoSpec(width=width, height=height, frame_count=1, rate=Fraction(25))
        slot.ref = SourceRef(Kind.VIDEO, slot.name)
        player.opened(slot, slot.ref, MediaFacts(title=slot.name, kind="video", spec=spec), Alignment(spec))
        slot.cache.clear()
        slot.cache.put(0, picture)
    player.tick()


@pytest.fixture
def still(qapp) -> Player:
    """A player without threads."""
    player = Player()
    player.connect(IdleBackend())
    return player


def grab(widget: QWidget) -> np.ndarray:
    """Return what a widget shows as uint8 (H, W, 3)."""
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def noise(seed: int, width: int = 40, height: int = 30) -> np.ndarray:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    picture[..., 3] = 255
    return picture


class Views:
    """The helpers of this file, for tests in sub-folders."""

    grab = staticmethod(grab)
    noise = staticmethod(noise)
    show_pictures = staticmethod(show_pictures)


@pytest.fixture(scope="session")
def views() -> type[Views]:
    return Views


class Answers:
    """Stands in for the system's dialogs: answers what the test put there, and remembers what was asked."""

    def __init__(self) -> None:
        self.path = ""
        self.line = ""
        self.value: int | None = None
        self.asked: list[str] = []

    def open_file(self, parent: QWidget, title: str, kinds: str) -> str:
        self.asked.append(title)
        return self.path

    def save_file(self, parent: QWidget, title: str, usual: str, kinds: str) -> str:
        self.asked.append(title)
        return self.path

    def text(self, parent: QWidget, title: str, question: str) -> str:
        self.asked.append(title)
        return self.line

    def number(self, parent: QWidget, title: str, question: str, value: int, highest: int) -> int | None:
        self.asked.append(title)
        return self.value


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def make_main_window(qtbot, qapp, answers, fake_opener):
    """Return a function that makes the player's window over fake sources, or over real ones with `real=True`."""
    import threading

    from app.core.settings import Settings
    from app.views.main_window import MainWindow
    from app.views.theme import apply_theme
    from app.workers.engine import Engine
    from app.workers.opening import open_any

    windows = []

    def make(*, real: bool = False, **settings: object) -> MainWindow:
        apply_theme("dark")
        player = Player(Settings(**settings))
        window = MainWindow(player, Engine(player, open_any if real else fake_opener), asker=answers, canvas="soft")
        qtbot.addWidget(window)
        window.resize(1200, 800)
        window.show()
        windows.append(window)
        return window

    yield make
    for window in windows:
        window.close()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("nervplay")] == []


@pytest.fixture
def window(make_main_window):
    return make_main_window()


@pytest.fixture
def pair_window(window, qtbot):
    """The window with a fake clip and a fake network of 40 frames, all decoded and measured."""
    window.handlers.open_text("40.mp4", 0)
    window.handlers.open_text("40.nerv", 1)
    qtbot.waitUntil(lambda: window.player.has_pair and window.player.settled, timeout=20_000)
    return window
