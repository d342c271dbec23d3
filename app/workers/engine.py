"""The backend of the player: a decode thread per slot, one that measures, and the way back to the player."""

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from app.core.cache import Key, Picture
from app.core.compiling import told_of_compiling
from app.core.player import Player
from app.core.slot import OpenRequest, Slot
from app.workers.measuring import MeasureWorker
from app.workers.side import Opener, SideWorker
from app.workers.sound import SoundMaster
from nervplay.memory import keep_pages

__all__ = ["Engine"]

_LONGEST, _SHORTEST = 16, 1
"""Milliseconds between two looks at the clock while playing."""


class Engine(QObject):
    """Threads and timer behind a player; made, used and closed on the player's thread.

    Args:
        player: whose backend it is.
        opener: what opens sources in a test; None for `open_any`.
    """

    _woken = Signal()

    def __init__(self, player: Player, opener: Opener | None = None) -> None:
        super().__init__()
        keep_pages()
        self._player, self._opener = player, opener
        self._sides: dict[int, SideWorker] = {}
        self._measurer: MeasureWorker | None = None
        self._lock = threading.Lock()
        self._answers: deque[Callable[[], None] | None] = deque()
        self._wake_sent = False
        self._closed = False
        self._woken.connect(self._drain, Qt.ConnectionType.QueuedConnection)
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._tick)
        self.sound = SoundMaster(player, self.post)
        player.connect(self)
        player.events.on("transport", self._arm)
        self._listening = ExitStack()
        self._listening.enter_context(told_of_compiling(lambda words: self.post(lambda: player.say(words))))

    # Backend

    def open(self, slot: Slot, request: OpenRequest) -> None:
        """Open a source in the thread of its slot."""
        if not self._closed:
            self._side(slot).open(request)

    def close(self, slot: Slot) -> None:
        """Close what a slot has."""
        if id(slot) in self._sides:
            self._side(slot).close()

    def set_precision(self, slot: Slot, precision: str, device: str) -> None:
        """Switch arithmetic or device."""
        if not self._closed:
            self._side(slot).switch(precision, device)

    def time_stages(self, slot: Slot) -> None:
        """Measure the stages of a network."""
        if not self._closed:
            self._side(slot).time_stages()

    def want(self, slot: Slot, keys: Sequence[Key]) -> None:
        """Decode these, first to last."""
        if not self._closed:
            self._side(slot).want(keys)

    def measure(self, frame: int, a: Picture, b: Picture, names: Sequence[str], ticket: tuple[object, ...]) -> bool:
        """Measure a pair; False where the last one is not done yet."""
        if self._closed:
            return False
        if self._measurer is None:
            self._measurer = MeasureWorker(self._player, self.post)
            self._measurer.start()
        return self._measurer.measure(frame, a, b, names, ticket)

    # Threads

    def _side(self, slot: Slot) -> SideWorker:
        """Return the thread of a slot, started when it is needed first."""
        side = self._sides.get(id(slot))
        if side is None:
            side = self._sides[id(slot)] = SideWorker(slot, self._player, self.post, self._opener)
            side.start()
        return side

    def post(self, answer: Callable[[], None] | None) -> None:
        """Run a function on the player's thread, later; from any thread. At most one wake-up is under way."""
        with self._lock:
            if self._closed:
                return
            if answer is not None or not self._answers:
                self._answers.append(answer)
            fire, self._wake_sent = not self._wake_sent, True
        if fire:
            self._woken.emit()

    def _drain(self) -> None:
        """Run what the threads posted, then let the player look at the clock."""
        with self._lock:
            answers, self._wake_sent = list(self._answers), False
            self._answers.clear()
        for answer in answers:
            if answer is not None and not self._closed:
                answer()
        if not self._closed:
            self._tick()

    def _tick(self) -> None:
        self.sound.tick()
        self._player.tick()
        self._arm()

    def _arm(self) -> None:
        """While playing, look at the clock again when the next frame is due: not before, or it would wait for the one
        behind it.
        """
        if not self._player.transport.playing or self._closed:
            self._timer.stop()
            return
        self._timer.start(min(_LONGEST, max(_SHORTEST, math.ceil(1000 * self._player.transport.until_next()))))

    def shut_down(self) -> None:
        """End all threads and wait for them; at most the frame that each decodes. Idempotent."""
        self._closed = True
        self._listening.close()
        self._timer.stop()
        self.sound.shut_down()
        workers: list[SideWorker | MeasureWorker] = [*self._sides.values()]
        if self._measurer is not None:
            workers.append(self._measurer)
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.join()
        self._sides.clear()
        self._measurer = None
        with self._lock:
            self._answers.clear()
