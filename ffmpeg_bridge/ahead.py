"""Decoding in one thread while another encodes."""

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress

from nervplay.video.source import Frame, FrameSource

__all__ = ["frames_ahead"]

_DEPTH = 4
_POLL_SECONDS = 0.1


class _Reader(threading.Thread):
    """Reads a source from start to end into a short queue; None marks the end, an exception a failure."""

    def __init__(self, source: FrameSource) -> None:
        super().__init__(name="frames-ahead", daemon=True)
        self._source = source
        self._waiting: queue.Queue[Frame | BaseException | None] = queue.Queue(_DEPTH)
        self._stopped = threading.Event()

    def run(self) -> None:
        try:
            for frame in self._source.frames():
                self._offer(frame)
                if self._stopped.is_set():
                    return
            self._offer(None)
        except BaseException as error:  # noqa: BLE001 - raised again where the frames are used
            self._offer(error)

    def _offer(self, item: Frame | BaseException | None) -> None:
        """Put an item into the queue as soon as there is room, unless stopped."""
        while not self._stopped.is_set():
            with suppress(queue.Full):
                self._waiting.put(item, timeout=_POLL_SECONDS)
                return

    def taken(self) -> Iterator[Frame]:
        """Yield the frames as they come."""
        while (item := self._waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def stop(self) -> None:
        """End the thread, after the frame that it is reading."""
        self._stopped.set()
        self.join()


@contextmanager
def frames_ahead(source: FrameSource) -> Generator[Iterator[Frame]]:
    """Give all frames of `source`, read by a thread of its own up to 4 frames ahead.

    Only that thread touches the source until the block ends; it has ended then, whatever ended the block. An error of
    the source comes out of the iterator.
    """
    reader = _Reader(source)
    reader.start()
    try:
        yield reader.taken()
    finally:
        reader.stop()
