"""Write docs/images/player-*: the player's window in every mode, and its dialogs, on the bundled sample.

    python tools/make_screenshots.py

Needs no display: Qt's offscreen platform paints. Settings and caches go to a temporary folder.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
_SCRATCH = tempfile.TemporaryDirectory()
for _name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
    os.environ[_name] = _SCRATCH.name

from PySide6.QtCore import QDeadlineTimer, QEventLoop  # noqa: E402 - the environment comes first
from PySide6.QtWidgets import QApplication, QWidget  # noqa: E402

from app.core.play_request import PlayRequest  # noqa: E402
from app.core.samples import find_sample  # noqa: E402
from app.core.settings import Settings, save_settings  # noqa: E402
from app.core.sources import parse_source  # noqa: E402
from app.core.view import Mode  # noqa: E402
from app.main import make_window  # noqa: E402
from app.views.main_window import MainWindow  # noqa: E402

__all__ = ["TARGET", "main"]

TARGET = Path(__file__).resolve().parent.parent / "docs" / "images"
_SIZE = (1440, 900)
_PATIENCE = 1_200_000
_QUALITY = 88
"""Of JPEG: windows full of film are ten times smaller than as PNG."""


def wait_until(ready: Callable[[], bool]) -> None:
    """Run the event loop until `ready`."""
    deadline = QDeadlineTimer(_PATIENCE)
    while not ready():
        if deadline.hasExpired():
            raise SystemExit("the window did not settle")
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents, 50)
    QApplication.processEvents()


def shoot(widget: QWidget, name: str) -> None:
    """Write a picture of a widget."""
    for _ in range(5):
        QApplication.processEvents()
    picture = isinstance(widget, MainWindow) and name != "empty"
    path = TARGET / f"player-{name}.{'jpg' if picture else 'png'}"
    widget.grab().save(str(path), quality=_QUALITY if picture else -1)
    print(path)


def shoot_modes(window: MainWindow) -> None:
    """Every mode, on a frame where the network has something to get wrong."""
    player = window.player
    player.view.gain = 8
    for mode in (Mode.WIPE, Mode.SIDE, Mode.DIFFERENCE, Mode.SIGNED, Mode.HEAT):
        player.view.mode = mode
        player.events.emit("view")
        shoot(window, mode.value)
    player.view.mode, player.view.zoom, player.view.centre = Mode.WIPE, 12.0, (0.33, 0.2)
    player.probe = (105, 36)
    player.set_region((92, 26, 28, 18))
    for event in ("view", "probe"):
        player.events.emit(event)
    shoot(window, "zoom")
    player.set_region(None)
    player.view.fit()
    player.probe = None
    for event in ("view", "probe"):
        player.events.emit(event)


def shoot_grid(window: MainWindow) -> None:
    """The grid, with re-encodes as large as the network."""
    player = window.player
    for place, encoder in ((2, "x265"), (3, "x264")):
        player.open(player.slots[place], parse_source(f"{encoder}@b"))
    wait_until(lambda: len(player.open_slots) == 4 and player.settled)
    player.say("")
    player.view.mode = Mode.GRID
    player.events.emit("view")
    shoot(window, "grid")
    for place in (2, 3):
        player.close_slot(player.slots[place])
    player.view.mode = Mode.WIPE
    player.events.emit("view")


def shoot_dialogs(window: MainWindow) -> None:
    """The dialogs."""
    for name in ("palette", "keys", "help", "settings", "export"):
        window.open_dialog(name)
        shoot(window.dialogs.shown[name], f"dialog-{name}")
        window.dialogs.shown[name].close()
    window.player.say("'hf://user' is not an address of a neural video; write hf://user/name, hf://user/name@v1")
    shoot(window, "banner")
    window.player.say("")


def main() -> None:
    """Write all pictures."""
    app = QApplication(sys.argv[:1])
    TARGET.mkdir(parents=True, exist_ok=True)
    save_settings(Settings(theme="dark", told=["sound"]))
    empty = make_window(PlayRequest(size=_SIZE, canvas="soft"))
    empty.show()
    shoot(empty, "empty")
    empty.close()
    sample = find_sample()
    sources = (parse_source(str(sample.clip)), parse_source(str(sample.video)))
    window = make_window(PlayRequest(sources=sources, size=_SIZE, canvas="soft", frame=38))
    window.show()
    wait_until(lambda: window.player.has_pair and window.player.settled)
    window.run("stages")
    wait_until(lambda: bool(window.player.slots[1].stages))
    window.player.transport.set_range(20, 110)
    window.player.events.emit("transport")
    shoot_modes(window)
    shoot_dialogs(window)
    shoot_grid(window)
    window.run("theme-light")
    shoot(window, "light")
    window.close()
    app.quit()


if __name__ == "__main__":
    main()
