"""What a network is fitted for: to keep a clip, or to show what it was not given. Each task with its paper's protocol.

regression                 every frame, all of it
interpolation              frames 0, 2, 4, ...; those between are unseen. HNeRV, NeRV: quality of the unseen frames
inpaint-center             a hole of a quarter of width and height in the middle. HNeRV-Boost (inpanting_center)
inpaint-disperse[_S]       five square holes of S pixels (50 unless given), in the middle and at the quarters. HNeRV,
HNeRV-Boost. Holes are black in what the network sees, and no part of its loss; quality is
that of whole frames
denoise-KIND_AMOUNT        a noisy clip; quality is that against the clean one. NeRV. KIND: white, black, salt-pepper,
random (AMOUNT is the share of the pixels that are replaced), gaussian (AMOUNT is the
standard deviation, of 255)
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nervplay.errors import UsageError
from nervplay.video.source import Frame

__all__ = ["REGRESSION", "TASK_FORMS", "Task", "parse_task"]

TASK_FORMS = ("regression", "interpolation", "inpaint-center", "inpaint-disperse[_S]", "denoise-KIND_AMOUNT")
"""The forms of a task's name."""

_SIDE = 50
_KINDS = ("white", "black", "salt-pepper", "random", "gaussian")
_NOISE_SEED = 20211  # noise is part of the task, and the same whatever the seed of a fit


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task.

    Args:
        name: as it is written.
        every: one of so many frames is seen, counted from frame 0.
        hole: None, "center" or "disperse".
        side: of a dispersed hole, in pixels.
        noise: None, or the kind of noise.
        amount: of the noise.
    """

    name: str = "regression"
    every: int = 1
    hole: str | None = None
    side: int = _SIDE
    noise: str | None = None
    amount: float = 0.0

    def seen(self, frame_count: int) -> tuple[int, ...]:
        """Return the indices of the frames that the network is given, of a clip of `frame_count` frames."""
        return tuple(range(0, frame_count, self.every))

    def visible(self, width: int, height: int) -> NDArray[np.bool_] | None:
        """Return which pixels the network is given.

        Args:
            width: columns of a frame.
            height: rows of a frame.

        Returns:
            bool (H, W), False in holes; None where there are no holes.

        Raises:
            UsageError: the holes leave nothing of a frame.
        """
        if self.hole is None:
            return None
        mask = np.ones((height, width), np.bool_)
        if self.hole == "center":
            tall, wide = height // 4, width // 4
            top, left = (height - tall) // 2, (width - wide) // 2
            mask[top : top + tall, left : left + wide] = False
            return mask
        half = self.side // 2
        for row, column in ((2, 2), (1, 1), (1, 3), (3, 1), (3, 3)):
            y, x = height * row // 4, width * column // 4
            mask[max(0, y - half) : y + half, max(0, x - half) : x + half] = False
        if not mask.any():
            raise UsageError(f"holes of {self.side} pixels leave nothing of {width}x{height} frames; take smaller ones")
        return mask

    def given(self, frame: Frame, index: int) -> Frame:
        """Return a frame as the network is given it: with holes, or with noise.

        Args:
            frame: uint8 (H, W, 3); not changed.
            index: which frame of the clip; the noise of each is its own.
        """
        height, width, _ = frame.shape
        mask = self.visible(width, height)
        if mask is not None:
            return np.where(mask[:, :, None], frame, np.uint8(0))
        if self.noise is None:
            return frame
        generator = np.random.default_rng([_NOISE_SEED, index])
        if self.noise == "gaussian":
            noisy = frame + generator.normal(0.0, self.amount, frame.shape)
            return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        hit = generator.random((height, width, 1)) < self.amount
        return np.where(hit, self._pixels(generator, frame), frame)

    def _pixels(self, generator: np.random.Generator, frame: Frame) -> Frame:
        """Return what the hit pixels of a frame become, uint8 (H, W, 3)."""
        if self.noise == "random":
            return generator.integers(0, 256, frame.shape, dtype=np.uint8)
        height, width, _ = frame.shape
        if self.noise == "salt-pepper":
            return np.repeat(np.where(generator.random((height, width, 1)) < 0.5, 0, 255).astype(np.uint8), 3, axis=2)
        return np.full_like(frame, 255 if self.noise == "white" else 0)


REGRESSION = Task()
"""The task that hides nothing."""


def parse_task(name: str) -> Task:
    """Return the task that `name` writes out; see the head of this module.

    Raises:
        UsageError: another form, or a number out of range.
    """
    if name == "regression":
        return REGRESSION
    if name == "interpolation":
        return Task(name=name, every=2)
    if name == "inpaint-center":
        return Task(name=name, hole="center")
    holes = re.fullmatch(r"inpaint-disperse(?:_([0-9]+))?", name)
    if holes and int(holes[1] or _SIDE) >= 2:
        return Task(name=name, hole="disperse", side=int(holes[1] or _SIDE))
    noise = re.fullmatch(r"denoise-([a-z-]+)_([0-9]+(?:\.[0-9]+)?)", name)
    if noise and noise[1] in _KINDS:
        amount = float(noise[2])
        if amount > 0 and (noise[1] == "gaussian" or amount <= 1):
            return Task(name=name, noise=noise[1], amount=amount)
    raise UsageError(
        f"task '{name}' is not known; write one of {', '.join(TASK_FORMS)}, as in inpaint-disperse_50, "
        "denoise-salt-pepper_0.1 or denoise-gaussian_25"
    )
