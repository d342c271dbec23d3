"""A thread that measures one pair of pictures at a time, at a lower priority than decoding."""

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from app.core.cache import Picture
from app.core.player import Player

__all__ = ["MeasureWorker"]

_NICENESS = 10


class _Job(NamedTuple):
    frame: int
    a: Picture
    b: Picture
    names: tuple[str, ...]
    ticket: tuple[object, ...]


class MeasureWorker(threading.Thread):
    """The thread behind the metrics over time.

    Args:
        player: who is told.
        post: runs a function on the player's thread, later.
    """

    def __init__(self, player: Player, post: Callable[[Callable[[], None] | None], None]) -> None:
        super().__init__(name="nervplay-measure")
        self._player, self._post = player, post
        self._condition = threading.Condition()
        self._job: _Job | None = None
        self._stopping = False

    def measure(self, frame: int, a: Picture, b: Picture, names: Sequence[str], ticket: tuple[object, ...]) -> bool:
        """Measure a pair; False where the last one waits still."""
        with self._condition:
            if self._job is not None or self._stopping:
                return False
            self._job = _Job(frame, a, b, tuple(names), ticket)
            self._condition.notify()
            return True

    def stop(self) -> None:
        """End the thread after the pair that it measures."""
        with self._condition:
            self._stopping = True
            self._condition.notify()

    def run(self) -> None:
        """Wait for pairs, measure them, tell the player."""
        with suppress(OSError, AttributeError):  # elsewhere than on Linux threads have no priority of their own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while True:
            with self._condition:
                while self._job is None and not self._stopping:
                    self._condition.wait()
                if self._stopping:
                    return
                job = self._job
                assert job is not None
            values = _measure(job)
            with self._condition:
                self._job = None
            self._post(lambda job=job, values=values: self._player.measured(job.frame, values, job.ticket))  # type: ignore[misc]


def _measure(job: _Job) -> dict[str, float | None]:
    """Return the values of a pair by metric; None for those that pictures of this size do not have."""
    from nervplay.metrics import METRICS

    height, width, _ = job.a.shape
    reference, frame = (np.ascontiguousarray(picture[..., :3]) for picture in (job.a, job.b))
    return {
        name: None if METRICS[name].obstacle(width, height) else METRICS[name].measure(frame, reference)
        for name in job.names
    }
