"""A decode thread: it alone uses the source of its slot, and does what it is told: open, switch, decode.

Orders are few and kept in a queue; wishes (which pictures) are replaced by newer ones. What it decodes goes straight
into the slot's cache; what it learns goes to the player through `post`, on the player's thread.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum, auto

from app.core.cache import Key
from app.core.player import Player
from app.core.slot import OpenRequest, Slot
from app.workers.media import Media
from nervplay.errors import Interrupted, NervplayError

__all__ = ["SideWorker"]

_LOG = logging.getLogger(__name__)

Opener = Callable[..., Media]

_REST = 0.5
"""Seconds after which a thread that has something left to find out looks whether playing has stopped."""


class _Order(Enum):
    """What a thread can be told besides wishes."""

    OPEN = auto()
    CLOSE = auto()
    SWITCH = auto()
    STAGES = auto()


class SideWorker(threading.Thread):
    """The thread of one slot.

    Args:
        slot: whose cache and figures it fills.
        player: who is told.
        post: runs a function on the player's thread, later; None just wakes it.
        opener: a test's; None for `open_any`.
    """

    def __init__(
        self,
        slot: Slot,
        player: Player,
        post: Callable[[Callable[[], None] | None], None],
        opener: Opener | None = None,
    ) -> None:
        super().__init__(name="nervplay-decode")
        self._slot, self._player, self._post, self._opener = slot, player, post, opener
        self._condition = threading.Condition()
        self._orders: deque[tuple[_Order, tuple[object, ...]]] = deque()
        self._wants: tuple[Key, ...] = ()
        self._media: Media | None = None
        self._stopping = False
        self._cancelled = threading.Event()
        self._preparer: threading.Thread | None = None
        self._stop_preparer = threading.Event()
        self._prepared: set[str] = set()
        self._pending: tuple[str, str] | None = None
        self._reported = ""

    # Called from the player's thread

    def open(self, request: OpenRequest) -> None:
        """Open a source in place of the present one; one that is being opened is given up."""
        self._cancelled.set()
        with self._condition:
            self._orders = deque(order for order in self._orders if order[0] is _Order.STAGES)
            self._tell(_Order.OPEN, request)

    def close(self) -> None:
        """Close the present source."""
        self._cancelled.set()
        with self._condition:
            self._orders.clear()
            self._wants = ()
            self._tell(_Order.CLOSE)

    def switch(self, precision: str, device: str) -> None:
        """Change arithmetic and device."""
        with self._condition:
            self._tell(_Order.SWITCH, precision, device)

    def time_stages(self) -> None:
        """Measure the stages of the network."""
        with self._condition:
            self._tell(_Order.STAGES)

    def want(self, keys: Sequence[Key]) -> None:
        """Decode these, first to last; replaces what was wanted before."""
        with self._condition:
            self._wants = tuple(keys)
            self._condition.notify()

    def stop(self) -> None:
        """End the thread after the frame that it decodes; `join` waits for it."""
        self._cancelled.set()
        with self._condition:
            self._stopping = True
            self._condition.notify()

    def _tell(self, order: _Order, *arguments: object) -> None:
        self._orders.append((order, arguments))
        self._condition.notify()

    # The thread

    def run(self) -> None:
        """Do orders first, then wishes, then what can wait, then sleep."""
        while True:
            with self._condition:
                while not (self._stopping or self._orders or self._next() is not None or self._may_probe()):
                    self._condition.wait(_REST if self._unprobed else None)
                if self._stopping:
                    break
                order = self._orders.popleft() if self._orders else None
                key = self._next()
            if order is not None:
                self._obey(*order)
            elif key is not None:
                self._decode(key)
            else:
                self._probe()
        self._close_media()

    def _next(self) -> Key | None:
        """Return the first wish that is not in the cache."""
        if self._media is None:
            return None
        missing = self._slot.cache.missing(self._wants)
        return missing[0] if missing else None

    def _obey(self, order: _Order, arguments: tuple[object, ...]) -> None:
        """Carry out an order; what goes wrong is told in words."""
        try:
            if order is _Order.OPEN:
                self._open(*arguments)  # type: ignore[arg-type]  # `open` put the request there
            elif order is _Order.CLOSE:
                self._close_media()
            elif order is _Order.SWITCH:
                self._switch(*arguments)  # type: ignore[arg-type]  # `switch` put two names there
            elif self._media is not None:
                stages = self._media.time_stages()
                self._post(lambda: self._player.staged(self._slot, stages))
        except Interrupted:
            return  # `open`, `close` and `stop` interrupt, and what they want comes next
        except Exception as error:  # noqa: BLE001 - PyTorch and drivers raise what they like; the thread must live on
            message = _words(error)
            ref = arguments[0].ref if arguments and isinstance(arguments[0], OpenRequest) else None
            self._post(lambda: self._player.failed(self._slot, message, ref))

    def _open(self, request: OpenRequest) -> None:
        """Open a source; the old one is closed once the new one is there."""
        if self._opener is None:
            from app.workers.opening import open_any

            self._opener = open_any
        self._cancelled = threading.Event()
        try:
            media = self._opener(request, cancelled=self._cancelled, progress=self._report)
        finally:
            self._end_report()
        if self._cancelled.is_set():
            media.close()
            return
        media.calibrating = self._calibrating
        self._close_media()
        self._media = media
        with self._condition:
            self._wants = ()
        self._slot.cache.clear()
        facts, alignment = media.facts, media.alignment
        self._post(lambda: self._player.opened(self._slot, request.ref, facts, alignment))

    def _switch(self, precision: str, device: str) -> None:
        """Change arithmetic or device, and forget the pictures of the old kind; at once, or when it is prepared."""
        if self._media is None:
            return
        before, self._pending = self._media.facts, None
        if self._media.slow(precision, device) and precision not in self._prepared:
            self._pending = (precision, device)
            self._prepare(precision)
            return
        if device != before.device:
            self._end_preparing()
        try:
            self._media.switch(precision, device)
        finally:
            facts = self._media.facts
            if (facts.precision, facts.device) != (before.precision, before.device):
                self._slot.cache.clear()
            self._post(lambda: self._player.switched(self._slot, facts))

    def _prepare(self, precision: str) -> None:
        """Make a precision ready in a thread beside this one, which goes on decoding."""
        if self._is_preparing:
            return
        assert self._media is not None
        self._stop_preparer = threading.Event()
        arguments = (self._media, precision, self._stop_preparer)
        self._preparer = threading.Thread(target=self._run_preparer, args=arguments, name="nervplay-prepare")
        self._preparer.start()

    def _run_preparer(self, media: Media, precision: str, stopped: threading.Event) -> None:
        """Runs in a thread of its own; then the switch that waits for it is carried out, or the probe."""
        player, slot = self._player, self._slot
        # what goes wrong is said by the switch, which tries it again
        with contextlib.suppress(Exception):
            media.prepare(precision, lambda part: self._post(lambda: player.prepared(slot, precision, part)), stopped)
        self._post(lambda: player.prepared(slot, "", 0.0))
        with self._condition:
            if stopped.is_set():
                return
            self._prepared.add(precision)
            if self._pending is not None:
                self._tell(_Order.SWITCH, *self._pending)
            self._condition.notify()

    @property
    def _is_preparing(self) -> bool:
        return self._preparer is not None and self._preparer.is_alive()

    def _end_preparing(self) -> None:
        """Stop what is made ready, wait for it, and forget it."""
        self._stop_preparer.set()
        if self._preparer is not None:
            self._preparer.join()
        self._preparer, self._pending = None, None
        self._prepared.clear()

    def _decode(self, key: Key) -> None:
        """Decode one picture into the cache."""
        assert self._media is not None
        slot, last = self._slot, self._media.facts.spec.frame_count - 1
        if not 0 <= key <= last:  # a wish for the source that was here before
            self._forget_wish(key)
            return
        slot.working = key
        begun, generation = time.perf_counter(), slot.cache.generation
        try:
            picture = self._media.picture(key)
        except Exception as error:  # noqa: BLE001 - a full GPU, for one; the thread must live on
            message = f"frame {key} of {self._media.facts.title}: {_words(error)}"
            slot.cache.lose(key, generation)
            self._post(lambda: self._player.say(message))
            return
        finally:
            slot.working = None
        slot.stats.add(time.perf_counter() - begun)
        slot.cache.put(key, picture, generation)
        self._post(None)

    def _forget_wish(self, key: Key) -> None:
        with self._condition:
            self._wants = tuple(other for other in self._wants if other != key)

    @property
    def _unprobed(self) -> bool:
        return self._media is not None and self._media.unprobed

    def _may_probe(self) -> bool:
        """Whether to try a precision now: while playing, a moment without wishes is no idle one."""
        return self._unprobed and not self._player.transport.playing and not self._is_preparing

    def _probe(self) -> None:
        """Use an idle moment to find out whether a precision is here."""
        if self._may_probe():
            assert self._media is not None
            precision = self._media.next_probe
            if self._media.slow(precision, self._media.facts.device) and precision not in self._prepared:
                self._prepare(precision)
            elif self._media.probe():
                facts = self._media.facts
                self._post(lambda: self._player.switched(self._slot, facts))

    def _report(self, words: str) -> None:
        """Say how far opening is."""
        self._reported = words
        self._post(lambda: self._player.say(words))

    def _end_report(self) -> None:
        """Take away what was said last of opening."""
        words, self._reported = self._reported, ""
        if words:
            self._post(lambda: self._player.unsay(words))

    def _calibrating(self, part: float) -> None:
        """Show how far INT8 of a segment is while its first picture waits for it."""
        shown = ("int8", part) if part < 1 else ("", 0.0)
        self._post(lambda: self._player.prepared(self._slot, *shown))

    def _close_media(self) -> None:
        self._end_preparing()
        if self._media is not None:
            self._media.close()
            self._media = None
            self._slot.cache.clear()


def _words(error: Exception) -> str:
    """Return what a user reads of an error; one that nobody expected is logged with where it happened."""
    if isinstance(error, NervplayError):
        return str(error)
    _LOG.exception("a decode thread failed")
    return f"internal error: {error!r}"
