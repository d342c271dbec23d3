"""Write docs/images/player-*: the player's window in every mode, and its dialogs, on the bundled sample.

    python tools/make_screenshots.py

Needs no display: Qt's offscreen platform paints. Settings, logins and pulls go to a temporary folder. The Hub is that
of the tests, on the loopback interface, stocked with the sample.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
_SCRATCH = tempfile.TemporaryDirectory()
for _name in ("XDG_CONFIG_HOME", "HF_HOME"):
    os.environ[_name] = _SCRATCH.name
_ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT / "tests" / "support"))

from loopback_hub import LoopbackHub  # noqa: E402 - the environment comes first

_TOKEN = "hf_made_up_for_this"  # noqa: S105 - the loopback Hub takes any
_HUB = LoopbackHub({_TOKEN: "alice", f"{_TOKEN}_too": "bob"})
os.environ["HF_ENDPOINT"] = _HUB.url
(Path(_SCRATCH.name) / "token").write_text(_TOKEN)

from PySide6.QtCore import QDeadlineTimer, QEventLoop  # noqa: E402 - the environment comes first
from PySide6.QtWidgets import QApplication, QWidget  # noqa: E402

from app.cli.work.pictures import make_poster  # noqa: E402
from app.core.play_request import PlayRequest  # noqa: E402
from app.core.samples import find_sample  # noqa: E402
from app.core.settings import Settings, save_settings  # noqa: E402
from app.core.sources import parse_source  # noqa: E402
from app.core.view import Mode  # noqa: E402
from app.main import make_window  # noqa: E402
from app.views.main_window import MainWindow  # noqa: E402
from models_hub import Hub, Publication  # noqa: E402
from nervplay.decode import open_decoder  # noqa: E402

__all__ = ["TARGET", "main"]

TARGET = _ROOT / "docs" / "images"
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


def stock_hub(window: MainWindow) -> None:
    """Publish the sample under several names, each with another poster, and with what was measured."""
    track = window.player.track
    assert track is not None
    sample = find_sample()
    names = (("alice/bunny-meadow", 12), ("bob/bunny-close", 38), ("bob/butterfly", 64), ("alice/bunny-hill", 100))
    with open_decoder(sample.video, device="cpu") as decoder:
        for name, frame in names:
            publication = Publication(
                video=sample.video,
                title="Big Buck Bunny",
                license="cc-by-3.0",
                credit="(c) Blender Foundation",
                psnr=track.tracks["psnr"].mean,
                ms_ssim=track.tracks["ms-ssim"].mean,
                poster=make_poster(decoder.frame(frame)),
            )
            token = _TOKEN if name.startswith("alice") else f"{_TOKEN}_too"
            Hub(_HUB.url, token).push(publication, name, private=False)


def wait_for_posters(window: MainWindow) -> None:
    """Run the event loop until the Hub browser shows all that there is."""
    desk, shown = window.desk, window.dialogs.shown["hub"].list
    wait_until(lambda: desk.browser is not None and not desk.browser.local and shown.count() == 4)
    wait_until(lambda: all(row.poster and desk.poster(row) is not None for row in desk.browser.rows))


def shoot_hub(window: MainWindow) -> None:
    """The Hub browser with a pull that is done and one that goes on, the same without a network, the push dialog."""
    window.open_dialog("hub")
    dialog = window.dialogs.shown["hub"]
    desk = window.desk
    wait_for_posters(window)
    desk.browser.pull("bob/butterfly")
    wait_until(lambda: any(row.transfer is not None and row.transfer.clip for row in desk.browser.rows))
    dialog.list.setCurrentRow(2)
    wait_until(lambda: "frames" in dialog.details.facts["Picture"].text())
    _HUB.fail("GET /get/", trickle=3000, times=-1)
    dialog.details.buttons["pull"].click()
    wait_until(lambda: 0 < dialog.details.bar.value() < dialog.details.bar.maximum())
    shoot(dialog, "dialog-hub")
    dialog.details.buttons["cancel"].click()
    wait_until(lambda: "stopped" in dialog.details.state.text())
    _HUB.fail("", cut_after=0, reset=True, times=-1)
    dialog.search()
    wait_until(lambda: dialog.list.count() == 1 and "cannot be reached" in dialog.note.text())
    shoot(dialog, "dialog-hub-offline")
    _HUB.forget()
    dialog.close()
    window.open_dialog("push")
    dialog = window.dialogs.shown["push"]
    wait_until(lambda: desk.publisher.account is not None)
    dialog.licence.setCurrentText("cc-by-3.0")
    dialog.credit.setText("(c) Blender Foundation, www.bigbuckbunny.org")
    dialog.push_button.click()
    wait_until(lambda: desk.publisher.total > 0 and desk.publisher.done > 2)
    shoot(dialog, "dialog-push")
    desk.publisher.cancel()
    dialog.close()


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
    window.run("vmaf")
    wait_until(lambda: not window.vmaf.running)
    window.run("stages")
    wait_until(lambda: bool(window.player.slots[1].stages))
    window.player.transport.set_range(20, 110)
    window.player.events.emit("transport")
    shoot_modes(window)
    shoot_dialogs(window)
    stock_hub(window)
    shoot_hub(window)
    shoot_grid(window)
    window.run("theme-light")
    shoot(window, "light")
    window.open_dialog("hub")
    wait_for_posters(window)
    shoot(window.dialogs.shown["hub"], "dialog-hub-light")
    window.close()
    app.quit()


if __name__ == "__main__":
    with _HUB:
        main()
