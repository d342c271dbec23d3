"""What a fit tells while it runs: a `Progress` a few times a second, from sums that stay on the device."""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["EpochRecord", "Progress"]


class Progress(NamedTuple):
    """How far a fit has come.

    Args:
        epoch: the current epoch, 1 .. epochs.
        epochs: epochs of the whole fit, its phases included.
        step: finished steps of this epoch, 1 .. steps.
        steps: steps per epoch.
        psnr_db: mean over the frames that this epoch has seen, of the predictions made in training.
        loss: mean over the finished steps of this epoch.
        frames_per_second: speed since the fit started or was resumed.
        seconds_left: at that speed, or to the time limit where that comes first.
        rollbacks: how often the fit has collapsed so far and gone back.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    psnr_db: float
    loss: float
    frames_per_second: float
    seconds_left: float
    rollbacks: int = 0


class EpochRecord:
    """Loss and PSNR of every step of the current epoch, kept on the device: reading them is the only synchronisation.

    Args:
        steps: steps per epoch.
        batch_size: frames per step.
        device: where the network runs.
    """

    def __init__(self, steps: int, batch_size: int, device: torch.device) -> None:
        self.losses = torch.zeros(steps, device=device)
        self.psnrs = torch.zeros(steps, batch_size, device=device)

    def add(self, step: int, loss: Tensor, psnr: Tensor) -> None:
        """Note step `step`: loss a scalar, psnr (B,) in dB."""
        self.losses[step] = loss.detach()
        self.psnrs[step] = psnr

    @property
    def all(self) -> Tensor:
        """PSNR of all items of the epoch in order: float32 (steps * batch size,)."""
        return self.psnrs.flatten()

    def bad_step(self, done: int) -> tuple[int, float] | None:
        """Return the first of the first `done` steps whose loss is not finite, and that loss; None when all are."""
        losses = self.losses[:done].cpu()
        bad = torch.nonzero(~torch.isfinite(losses))
        return (int(bad[0]), float(losses[bad[0]])) if len(bad) else None

    def means(self, done: int) -> tuple[float, float]:
        """Return mean PSNR in dB and mean loss of the first `done` steps."""
        return float(self.psnrs[:done].mean()), float(self.losses[:done].mean())
