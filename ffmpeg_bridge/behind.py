"""Encoding in a thread of its own while the caller's thread decodes.

Decoding is most of the work and stays where it is called, for a reason: in every thread but the first, glibc gives the
large buffers of a network back to the system after each frame. That cost the bundled sample a quarter more processor
time, all of it in page faults; the encoder's smaller buffers do not notice.
"""

import queue
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

__all__ = ["worked_behind"]

_DEPTH = 4
_POLL_SECONDS = 0.1

ItemT = TypeVar("ItemT")


class _Worker(threading.Thread, Generic[ItemT]):
    """Does `work` on one item after the other from a short queue; an empty tuple marks the end."""

    def __init__(self, work: Callable[[ItemT], None]) -> None:
        super().__init__(name="worked-behind", daemon=True)
        self._work = work
        self._waiting: queue.Queue[tuple[ItemT] | tuple[()]] = queue.Queue(_DEPTH)
        self._stopped = threading.Event()
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._stopped.is_set():
                with suppress(queue.Empty):
                    item = self._waiting.get(timeout=_POLL_SECONDS)
                    if not item:
                        return
                    self._work(item[0])
        except BaseException as error:  # noqa: BLE001 - raised again where the items come from
            self._error = error
            self._stopped.set()

    def give(self, item: ItemT) -> None:
        """Leave an item to the worker as soon as there is room; raise what its work raised meanwhile."""
        self._put((item,))

    def finish(self) -> None:
        """Wait until everything is done; raise what the work raised."""
        self._put(())
        self.join()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End the thread after the item that it is working on."""
        self._stopped.set()
        self.join()

    def _put(self, item: tuple[ItemT] | tuple[()]) -> None:
        while not self._stopped.is_set():
            with suppress(queue.Full):
                self._waiting.put(item, timeout=_POLL_SECONDS)
                return
        if self._error is not None:
            raise self._error


@contextmanager
def worked_behind(work: Callable[[ItemT], None]) -> Generator[Callable[[ItemT], None]]:
    """Give a function that hands items to `work`, done one by one in a thread that is up to 4 items behind.

    When the block ends well, all items are done; when it does not, those that wait are dropped. The thread has ended
    either way. What `work` raises comes out of the function, or of the block's end.

    Args:
        work: called with each item, in order, always in that thread.
    """
    worker = _Worker(work)
    worker.start()
    try:
        yield worker.give
        worker.finish()
    finally:
        worker.stop()
