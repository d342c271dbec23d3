"""How a fit ends before its last epoch: at a time limit, or when it no longer gets better.

A fit that is merely cut off leaves weights that a large rate still throws about, some dB under what they could be. So
the rate always comes down to 0 first, in a straight line, on top of the recipe's schedule:

  * time limit: over the last fifth of it;
  * early stop: over `patience` epochs, behind the `patience` epochs that brought nothing.
"""

import time

__all__ = ["GAIN_DB", "LANDING", "Plateau", "TimeLimit"]

LANDING = 0.2
"""Share of a time limit in which the rate comes down."""
GAIN_DB = 0.02
"""What the mean PSNR of an epoch must win over the best one to count as better."""


class TimeLimit:
    """A limit of the training time, over all runs of a fit that was stopped and resumed; the clock starts here.

    Args:
        seconds: the limit; None for none.

    Attributes:
        before: seconds of earlier runs.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.before = 0.0
        self._started = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, in all runs."""
        return self.before + time.monotonic() - self._started

    @property
    def rate(self) -> float:
        """Factor of the learning rate now, in [0, 1]."""
        if self.seconds is None:
            return 1.0
        return min(1.0, max(0.0, (self.seconds - self.elapsed) / (LANDING * self.seconds)))

    @property
    def reached(self) -> bool:
        """Whether the limit is over."""
        return self.seconds is not None and self.elapsed >= self.seconds


class Plateau:
    """Tells when a part of a fit has stopped getting better. It depends on the epochs' figures alone.

    Args:
        patience: epochs without a gain, and epochs that the rate takes to come down; None never stops.

    Attributes:
        best_db: best mean PSNR of an epoch.
        waited: epochs since then.
        landing: which of the epochs it is in which the rate comes down, from 1; 0 before.
    """

    def __init__(self, patience: int | None) -> None:
        self.patience = patience
        self.begin()

    def begin(self) -> None:
        """Forget the past: a part of the fit begins."""
        self.best_db, self.waited, self.landing = 0.0, 0, 0

    def rate(self, share: float) -> float:
        """Return the factor of the learning rate at a share of the epoch, in [0, 1)."""
        if not self.landing or self.patience is None:
            return 1.0
        return 1.0 - (self.landing - 1 + share) / self.patience

    def epoch_ended(self, psnr_db: float) -> bool:
        """Note the mean PSNR of an epoch and return whether this part of the fit is over."""
        if self.patience is None:
            return False
        if self.landing:
            self.landing += 1
            return self.landing > self.patience
        if psnr_db > self.best_db + GAIN_DB:
            self.best_db, self.waited = psnr_db, 0
        else:
            self.waited += 1
            self.landing = int(self.waited >= self.patience)
        return False
