"""Sound as the player's clock: samples in memory, read round the loop; where it is heard says which frame is due.

Nothing here opens a device: `app.workers.sound` brings one that calls `fill` from its own thread.
"""

import threading
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

__all__ = ["RATE", "Samples", "SoundTrack"]

RATE = 48_000
"""Samples a second and channel."""

Samples = NDArray[np.int16]
"""Sound: int16 (N, 2), left and right."""


class SoundTrack:
    """Samples with a place; `fill` is called by the device, all else by the player.

    Args:
        samples: int16 (N, 2).
        rate: samples per second.
    """

    def __init__(self, samples: Samples, rate: int) -> None:
        self.samples, self.rate = samples, rate
        self._lock = threading.Lock()
        self._next = 0
        self._begun = Fraction(0)
        self._played = 0
        self._loop: tuple[int, int] | None = None
        self._running = False

    def start(self, seconds: Fraction, loop: tuple[Fraction, Fraction] | None) -> None:
        """Play from `seconds` on.

        Args:
            seconds: place in the clip.
            loop: begin and end in seconds between which it goes round; None plays to the end and stays silent there.
        """
        with self._lock:
            self._begun, self._played = seconds, 0
            self._next = round(seconds * self.rate)
            self._loop = (round(loop[0] * self.rate), round(loop[1] * self.rate)) if loop is not None else None
            self._running = True

    def stop(self) -> None:
        """Be silent."""
        with self._lock:
            self._running = False

    @property
    def running(self) -> bool:
        """Whether it plays."""
        return self._running

    def position(self, latency: Fraction = Fraction(0)) -> Fraction | None:
        """Return the place that is heard now in seconds, counted on through the loops; None before the first sample.

        Args:
            latency: seconds between `fill` and the ear.
        """
        with self._lock:
            if not self._running or not self._played:
                return None
            return self._begun + max(Fraction(0), Fraction(self._played, self.rate) - latency)

    def fill(self, out: Samples) -> None:
        """Write the next samples; silence where there are none.

        Args:
            out: int16 (N, 2), overwritten.
        """
        with self._lock:
            out[:] = 0
            if not self._running:
                return
            done = 0
            while done < len(out):
                end = min(self._loop[1], len(self.samples)) if self._loop is not None else len(self.samples)
                if self._next >= (self._loop[1] if self._loop is not None else len(self.samples)):
                    if self._loop is None or self._loop[1] <= self._loop[0]:
                        break
                    self._next = self._loop[0]
                    continue
                room = (self._loop[1] - self._next) if self._loop is not None else (end - self._next)
                count = min(len(out) - done, max(1, room))
                part = self.samples[max(0, self._next) : min(end, self._next + count)]
                if self._next >= 0:
                    out[done : done + len(part)] = part
                self._next += count
                done += count
            self._played += len(out)
