"""Jobs that wait for the network, in threads; their answers come back to the thread of the window."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal

from nervplay.errors import NervplayError

__all__ = ["NetworkWork"]

_LOG = logging.getLogger(__name__)

_THREADS = 8
"""A search, four posters, two pulls and a look into a file at a time; what is more waits."""


class NetworkWork(QObject):
    """A few threads, started when they are needed first; implements `app.core.hub_browser.Work`.

    Args:
        parent: owns it.
    """

    _woken = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="nervplay-network")
        self._calls: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._wake_sent = self._closed = False
        self._woken.connect(self._drain, Qt.ConnectionType.QueuedConnection)

    def submit(
        self, job: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[NervplayError], None]
    ) -> None:
        """Run `job` on a thread, then `done` with its result or `failed` with its error on the window's thread."""
        if not self._closed:
            self._pool.submit(self._run, job, done, failed)

    def _run(
        self, job: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[NervplayError], None]
    ) -> None:
        try:
            result = job()
        except NervplayError as error:
            self.report(partial(failed, error))
        except Exception as error:  # noqa: BLE001 - the library raises what it likes; the window must hear of it
            _LOG.exception("a job of the network failed")
            self.report(partial(failed, NervplayError(f"internal error: {error!r}")))
        else:
            self.report(partial(done, result))

    def report(self, call: Callable[[], None]) -> None:
        """Run `call` on the window's thread soon; from any thread. At most one wake-up is under way."""
        with self._lock:
            if self._closed:
                return
            self._calls.append(call)
            fire, self._wake_sent = not self._wake_sent, True
        if fire:
            self._woken.emit()

    def _drain(self) -> None:
        with self._lock:
            calls, self._wake_sent = list(self._calls), False
            self._calls.clear()
        for call in calls:
            if not self._closed:
                call()

    def shut_down(self) -> None:
        """Wait until the jobs that run have ended, which those do soon whose cancel events are set. Idempotent."""
        with self._lock:
            self._closed = True
            self._calls.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)
