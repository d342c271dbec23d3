"""The player's clock: a position in frames that runs at a signed rate from an anchor; exact fractions, no floats.

Where sound plays, sound is the master: `follow` moves the anchor to where the sound is.
"""

import time
from collections.abc import Callable
from fractions import Fraction

__all__ = ["Clock"]

_SECOND = 1_000_000_000


class Clock:
    """A running position.

    Args:
        now: monotonic time in nanoseconds.
    """

    def __init__(self, now: Callable[[], int] = time.monotonic_ns) -> None:
        self._now = now
        self._anchor, self._since = Fraction(0), 0
        self._rate = Fraction(0)

    @property
    def running(self) -> bool:
        """Whether the position moves."""
        return self._rate != 0

    @property
    def rate(self) -> Fraction:
        """Frames per second; negative backward, 0 when stopped."""
        return self._rate

    def start(self, position: Fraction, rate: Fraction) -> None:
        """Run from `position` at `rate` frames per second."""
        self._anchor, self._since, self._rate = position, self._now(), rate

    def stop(self) -> None:
        """Stand still at the present position."""
        self._anchor = self.position()
        self._rate = Fraction(0)

    def position(self) -> Fraction:
        """Return the present position, in frames."""
        if not self._rate:
            return self._anchor
        return self._anchor + self._rate * Fraction(self._now() - self._since, _SECOND)

    def follow(self, position: Fraction) -> None:
        """Take `position` as the truth from now on: the sound's, for instance."""
        self._anchor, self._since = position, self._now()
