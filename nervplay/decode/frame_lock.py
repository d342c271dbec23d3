"""The lock under which frames are made, and whether a thread may wait for another one that makes frames."""

import threading

__all__ = ["FrameLock", "make_frames_only", "may_wait"]


class _Held(threading.local):
    """How many of these locks a thread holds or waits for."""

    count = 0


_held = _Held()


class FrameLock:
    """A lock that its thread may take again. While a thread has one, `may_wait` says no.

    What is collected as garbage ends in whatever thread the collector runs, at any moment, that in which it makes a
    frame included. A stream that waited for its own thread there would wait for ever: that one needs the lock.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        _held.count += 1  # first: the collector may run as soon as the lock is taken
        try:
            self._lock.acquire()
        except BaseException:
            _held.count -= 1
            raise

    def __exit__(self, *args: object) -> None:
        self._lock.release()
        _held.count -= 1


def make_frames_only() -> None:
    """Say that this thread makes frames for others, so that it never waits for one that does, itself included."""
    _held.count += 1


def may_wait() -> bool:
    """Return whether this thread may wait for one that makes frames."""
    return _held.count == 0
