"""Watches over a fit: notices when it has collapsed, and keeps the states that it can go back to.

Large networks of this field collapse now and then: within a few steps every frame becomes one grey, or the loss stops
being a number, and the fit never recovers. The state from before is good; with a lower rate it usually goes on well.

An epoch is judged when it ends. It has collapsed when a loss is not finite, or when its last frames are, on average,
`DROP_DB` worse than they have been. All of this depends on the steps alone, never on the clock, so that equal arguments
still give equal weights.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["DROP_DB", "RATE_AFTER_ROLLBACK", "Guard", "SavedEpoch"]

DROP_DB = 6.0
"""Loss of PSNR against the best of the same frames that no healthy fit shows: doubled amplitudes of all errors."""
RATE_AFTER_ROLLBACK = 0.5
"""What every rollback multiplies the rate with."""
_TAIL = 8  # items at the end of an epoch that are judged, at least; a quarter of the epoch where that is more


class SavedEpoch(NamedTuple):
    """A state to go back to.

    Args:
        epoch: the epoch that begins with it, counted from 0.
        tensors: the state by name, see `nervplay.training.state.snapshot`.
    """

    epoch: int
    tensors: Mapping[str, Tensor]


class Guard:
    """Two states and the best quality of every item.

    The state at the beginning of an epoch counts as good once the whole epoch that began with it went well: a collapse
    in the last steps of an epoch shows in the next one only, and must not have become the state to go back to.

    Args:
        count: items of an epoch: frames, or patches.
        device: where their figures come from.

    Attributes:
        rollbacks: how often the fit has gone back.
        good: the state to go back to, None before the first.
        candidate: what becomes `good` when the current epoch ends well.
        best: float32 (count,), best PSNR of every item in dB, 0 before it was seen.
    """

    def __init__(self, count: int, device: torch.device) -> None:
        self.rollbacks = 0
        self.good: SavedEpoch | None = None
        self.candidate: SavedEpoch | None = None
        self.best = torch.zeros(count, device=device)

    def begin(self, start: SavedEpoch) -> None:
        """Forget the past: a part of the fit begins in which a lower quality is no collapse."""
        self.good, self.candidate = None, start
        self.best.zero_()

    def passed(self, start: SavedEpoch) -> None:
        """An epoch went well.

        Args:
            start: the state that the next one begins with.
        """
        self.good, self.candidate = self.candidate, start

    def go_back(self) -> SavedEpoch:
        """Count a rollback and return the state to go on from."""
        state = self.good or self.candidate
        assert state is not None, "an epoch ends that no state was kept for"
        self.rollbacks += 1
        self.good, self.candidate = None, state
        return state

    @property
    def rate(self) -> float:
        """Factor of the learning rate."""
        return RATE_AFTER_ROLLBACK**self.rollbacks

    def has_collapsed(self, items: Tensor, psnrs: Tensor) -> bool:
        """Judge an epoch whose losses are all finite, and note its qualities when it went well.

        Args:
            items: int64 (N,), what the epoch saw, in order.
            psnrs: float (N,), PSNR of each in dB.
        """
        tail = min(len(items), max(_TAIL, len(items) // 4))
        drop = (self.best[items] - psnrs)[-tail:].mean()
        if not bool(drop <= DROP_DB):  # a NaN fails every comparison
            return True
        self.best[items] = torch.maximum(self.best[items], psnrs)
        return False
