"""The desktop player as a program: application, window, what to open, screenshot. `nervplay play` calls `play`."""

import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from app.core.play_request import PlayRequest
from app.core.player import Player
from app.core.session import Session, load_session
from app.core.settings import load_settings
from app.core.sources import Kind, SourceRef
from app.core.view import Mode
from app.views.file_handlers import save_image
from app.views.main_window import MainWindow
from app.views.theme import apply_theme
from app.workers.engine import Engine
from nervplay.memory import settle

__all__ = ["keep_triton_out", "make_window", "place_precision", "play", "settle_when_opened"]

_NVIDIA = Path("/dev/nvidiactl")
"""There where NVIDIA's driver is loaded."""

_SIGNALS = 200
"""Milliseconds between two chances for Python to see Ctrl+C."""


def place_precision(sources: Sequence[SourceRef], precision: str) -> tuple[str, str, str, str]:
    """Return the precision that each slot opens with: B has it, or A where B is no network."""
    if len(sources) > 1 and sources[1].kind in {Kind.NERV, Kind.OFFICIAL, Kind.HUB}:
        return "", precision, "", ""
    return precision, "", "", ""


def make_window(request: PlayRequest) -> MainWindow:
    """Return the window, with its sources being opened.

    Args:
        request: what to show.

    Raises:
        InputError: the session cannot be read.
    """
    settings, note = load_settings()
    apply_theme(settings.theme)
    player = Player(settings, device=request.device)
    window = MainWindow(player, Engine(player), canvas=request.canvas, size=request.size)
    if note:
        player.say(note)
    if request.session is not None:
        window.restore(load_session(request.session))
    elif request.sources:
        precisions = place_precision(request.sources, request.precision)
        sources = tuple((*request.sources, None, None, None, None)[:4])
        mode = request.mode or (Mode.WIPE if len(request.sources) > 1 else Mode.A)
        player.view.mode = mode
        session = Session(sources=sources, precisions=precisions, view=player.view, frame=request.frame)
        window.restore(session)
    return window


def play(request: PlayRequest) -> int:
    """Run the player until its window is closed; return the exit code.

    Args:
        request: what to show.

    Raises:
        InputError: the session cannot be read.
        OutputError: the screenshot cannot be written.
    """
    keep_triton_out()
    running = QApplication.instance()
    app = running if isinstance(running, QApplication) else QApplication(sys.argv[:1])
    app.setApplicationName("nervplay")
    app.setDesktopFileName("nervplay")
    window = make_window(request)
    settle_when_opened(window.player)
    failures: list[Exception] = []
    _let_python_see_signals(window)
    pending = [request.screenshot] if request.screenshot is not None else []

    def shoot() -> None:
        while pending:
            _shoot(window, pending.pop(), failures, request)

    def quit_now() -> None:
        shoot()  # as the window is, where it has not settled
        window.close()

    if pending:
        _when_settled(window, shoot)
    if request.playing:
        _when_settled(window, lambda: window.run("play"))
    if request.quit_after is not None:
        QTimer.singleShot(round(1000 * request.quit_after), window, quit_now)
    window.show()
    code = app.exec()
    window.deleteLater()
    if failures:
        raise failures[0]
    return code


def keep_triton_out() -> None:
    """Let PyTorch do without Triton in this process, unless there is a GPU that it compiles for.

    PyTorch loads it, where it is installed, with the first network whose cost is counted. Its LLVM and that of Mesa's
    software GL, which stands in where there is no GPU, crash each other.
    """
    if _NVIDIA.exists():
        return
    sys.modules.setdefault("triton", None)  # type: ignore[arg-type]  # None is how Python spells "not to be imported"


def settle_when_opened(player: Player) -> None:
    """Collect garbage whenever other sources are open, and leave out what came with them while they play.

    Otherwise collections would cost six frames of a clip at 60 a second, every other second.

    Args:
        player: of this process.
    """
    known: list[str] = []

    def look() -> None:
        titles = [slot.facts.title if slot.facts is not None else "" for slot in player.slots]
        if titles != known:
            known[:] = titles
            settle()

    player.events.on("clip", look)


def _let_python_see_signals(window: MainWindow) -> None:
    """Close the window on Ctrl+C and on a kill: Python's handlers run only when the event loop gives it a turn."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: window.close())
    timer = QTimer(window)
    timer.timeout.connect(lambda: None)
    timer.start(_SIGNALS)


def _when_settled(window: MainWindow, then: Callable[[], None]) -> None:
    """Call `then` once, when all sources are open, shown and measured, or one could not be opened."""
    timer = QTimer(window)

    def look() -> None:
        player = window.player
        if any(slot.opening for slot in player.slots):
            return
        if player.has_clip and (not player.settled or window.vmaf.running):
            return
        timer.stop()
        QTimer.singleShot(100, window, then)

    timer.timeout.connect(look)
    timer.start(50)


def _shoot(window: MainWindow, target: Path, failures: list[Exception], request: PlayRequest) -> None:
    """Write a picture of the window; close it where nothing else says when."""
    try:
        save_image(window.grab(), target)
    except OSError as error:
        failures.append(error)
    if request.quit_after is None:
        window.close()
