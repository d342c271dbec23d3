"""The clip as one tensor, decoded once, and the order in which an epoch goes through it."""

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nervplay.errors import CapabilityError
from nervplay.video.source import FrameSource
from nervplay.video.tasks import REGRESSION, Task

__all__ = ["ClipFrames", "available_memory", "epoch_order"]

SHARE = 0.8  # of the free memory that the frames may take; the rest is for the network and its activations


def available_memory() -> int:
    """Return the bytes of main memory that can be had without swapping."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def epoch_order(seed: int, epoch: int, frame_count: int) -> Tensor:
    """Return the shuffled frame indices of one epoch, from the arguments alone, so that a resumed run needs no replay.

    The official code draws it from a global generator instead; the order is the only thing that differs.

    Args:
        seed: of the recipe.
        epoch: 0 or more.
        frame_count: T.

    Returns:
        int64 (T,), each of 0 .. T - 1 once, on the CPU.
    """
    return torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(frame_count))


class ClipFrames:
    """All frames of a clip as uint8 (T, 3, H, W), made float batch by batch.

    On the GPU when they fit into half of its free memory, otherwise in main memory, pinned.

    Args:
        source: the clip; read once, in order.
        device: where batches are wanted.
        budget: bytes that the frames may take; a share of what is free when None.
        task: spoils the frames: with holes, or with noise.

    Raises:
        CapabilityError: more bytes than `budget`.
    """

    def __init__(
        self, source: FrameSource, device: torch.device, *, budget: int | None = None, task: Task = REGRESSION
    ) -> None:
        spec = source.spec
        size = 3 * spec.pixels
        limit = int(available_memory() * SHARE) if budget is None else budget
        if size > limit:
            raise CapabilityError(
                f"the {spec.frame_count} frames of {spec.width}x{spec.height} take {size / 2**30:.2f} GiB in memory "
                f"and {limit / 2**30:.2f} GiB can be had; take fewer or smaller frames (--frames, --scale, --crop)"
            )
        frames = torch.empty((spec.frame_count, 3, spec.height, spec.width), dtype=torch.uint8)
        for index, (place, frame) in enumerate(zip(frames, source.frames(), strict=True)):
            place.copy_(torch.from_numpy(task.given(frame, index)).permute(2, 0, 1))
        self.device = device
        self._frames = _placed(frames, device)

    @property
    def index_device(self) -> torch.device:
        """Where the indices given to `batch` must lie: with the frames."""
        return self._frames.device

    def batch(self, index: Tensor) -> Tensor:
        """Return the frames at `index` as the network takes them.

        Args:
            index: int64 (B,), or (B, K) with neighbours, on `index_device`.

        Returns:
            float32 (B, 3, H, W), or (B, K, 3, H, W), in [0, 1], value / 255, on `device`.
        """
        return self._frames[index].to(self.device, non_blocking=True).float().div_(255.0)

    def patches(self, index: Tensor, row: Tensor, column: Tensor, size: tuple[int, int]) -> Tensor:
        """Return rectangles of frames, of a raster without gaps.

        Args:
            index: int64 (B,), frames, on `index_device`; so are the next two.
            row: int64 (B,), row of the raster.
            column: int64 (B,), column of the raster.
            size: (width, height) of a rectangle, in pixels; divides the frame's.

        Returns:
            float32 (B, 3, height, width) in [0, 1], value / 255, on `device`.
        """
        (count, _, rows, columns), (width, height) = self._frames.shape, size
        raster = self._frames.view(count, 3, rows // height, height, columns // width, width)
        return raster[index, :, row, :, column].to(self.device, non_blocking=True).float().div_(255.0)

    def image(self, index: int) -> Tensor:
        """Return frame `index` as stored: uint8 (3, H, W), on the CPU."""
        return self._frames[index].cpu()


def _placed(frames: Tensor, device: torch.device) -> Tensor:
    """Return `frames` on the GPU when they fit there, pinned when they do not, as they are for the CPU."""
    if device.type == "cpu":
        return frames
    free, _ = torch.cuda.mem_get_info(device)
    return frames.to(device) if frames.numel() <= free // 2 else frames.pin_memory()
