"""Which networks of a segmented clip are open: few at a time, and the next one before it is needed."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from nervplay.decode.calibration import Progress
from nervplay.decode.decoder import Decoder
from nervplay.errors import Interrupted, NervplayError

__all__ = ["MOST", "OpenSegments"]

MOST = 3
"""Decoders that are open at once: that of the frame, its neighbour across a seam or the next one, and one for a player
that jumps back."""


class _Told:
    """Hears how far a calibration is: passes it on while somebody waits for it, and ends it when all is closed.

    Args:
        progress: who wants to know.
        stopped: set when the clip is closed.
        heard: whether somebody waits.
    """

    def __init__(self, progress: Progress | None, stopped: threading.Event, heard: bool) -> None:
        self._progress, self._stopped = progress, stopped
        self.heard = heard

    def __call__(self, done: int, total: int) -> None:
        """Take (steps done, steps in all).

        Raises:
            Interrupted: the clip was closed.
        """
        if self._stopped.is_set():
            raise Interrupted("the clip was closed while a segment of it was calibrated; nothing of that is left")
        if self.heard and self._progress is not None:
            self._progress(done, total)


class _Coming(NamedTuple):
    """A decoder that is being opened in advance."""

    number: int
    told: _Told
    decoder: Future[Decoder]


class OpenSegments:
    """The open decoders of a clip's segments. One thread at a time calls `get` and `ahead`; `close` ends them.

    Args:
        open_segment: opens the decoder of a segment in a precision; the last argument is told how far a calibration is.
        progress: told so where somebody waits for it, not of what is opened in advance.
    """

    def __init__(self, open_segment: Callable[[int, str, Progress], Decoder], progress: Progress | None = None) -> None:
        self._open_segment = open_segment
        self._progress = progress
        self._open: OrderedDict[int, Decoder] = OrderedDict()  # the one used last stands last
        self._coming: _Coming | None = None
        self._opener = ThreadPoolExecutor(1, thread_name_prefix="nervplay-segment")  # no thread before its first work
        self._stopped = threading.Event()

    @property
    def newest(self) -> Decoder | None:
        """The decoder used last; None when all are closed."""
        return next(reversed(self._open.values()), None)

    def all(self) -> list[Decoder]:
        """Return the open decoders, without one that is on its way."""
        return list(self._open.values())

    def get(self, number: int, precision: str) -> Decoder:
        """Return the decoder of a segment, opened if need be; the one that was not used for longest is closed for it.

        Args:
            number: of the segment.
            precision: that it shall be in.

        Raises:
            NervplayError: it cannot be opened so.
        """
        if number not in self._open:
            decoder = self._awaited(number) or self._opened(number, precision)
            self._close_down_to(MOST - 1)
            self._open[number] = decoder
        self._open.move_to_end(number)
        decoder = self._open[number]
        if decoder.precision != precision:  # changed while it was on its way
            decoder.set_precision(precision)
        return decoder

    def ahead(self, number: int, precision: str) -> None:
        """Begin to open a segment in a thread, if it is not open and no other is on its way."""
        if number in self._open or (self._coming is not None and not self._coming.decoder.done()):
            return
        if self._coming is not None:
            if self._coming.number == number:
                return
            self._drop()
        self._close_down_to(MOST - 1)
        told = _Told(self._progress, self._stopped, heard=False)
        self._coming = _Coming(number, told, self._opener.submit(self._open_segment, number, precision, told))

    def interrupt(self) -> None:
        """End a calibration that is under way; callable from any thread, `close` comes next."""
        self._stopped.set()

    def close(self) -> None:
        """Close all decoders, that on its way included; idempotent."""
        self._stopped.set()
        self._drop()
        self._opener.shutdown(wait=True)
        self._close_down_to(0)

    def _opened(self, number: int, precision: str) -> Decoder:
        """Open a segment here and now."""
        return self._open_segment(number, precision, _Told(self._progress, self._stopped, heard=True))

    def _awaited(self, number: int) -> Decoder | None:
        """Return the decoder on its way, once it is there; None if it is another's, or could not be opened."""
        if self._coming is None or self._coming.number != number:
            return None
        coming, self._coming = self._coming, None
        coming.told.heard = True
        try:
            return coming.decoder.result()
        except NervplayError:  # said, if it is still so, by opening it again
            return None

    def _drop(self) -> None:
        """Close the decoder on its way, once it is there."""
        coming, self._coming = self._coming, None
        if coming is None or coming.decoder.cancel():
            return
        if coming.decoder.exception() is None:
            coming.decoder.result().close()

    def _close_down_to(self, count: int) -> None:
        """Close the decoders that were not used for longest until `count` are open; one on its way counts."""
        others = self._coming is not None
        while len(self._open) + others > count and self._open:
            self._open.popitem(last=False)[1].close()
