"""The clip as one tensor, decoded once, and the order in which an epoch goes through it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nervplay.training.frame_store import MEMORY_SHARE, available_memory, in_memory, mapped
from nervplay.video.source import FrameSource
from nervplay.video.tasks import REGRESSION, Task

__all__ = ["ClipFrames", "epoch_order"]


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

    On the GPU when they fit into half of its free memory, otherwise in main memory, and what is over a budget in a file
    that is mapped; see `nervplay.training.frame_store`. Batches go from there through pinned memory.

    Args:
        source: the clip; read once, in order.
        device: where batches are wanted.
        budget: bytes of main memory that the frames may take; None for a share of what is available.
        folder: where more than that goes; None for the system's folder of temporary files.
        task: spoils the frames: with holes, or with noise.

    Raises:
        OutputError: the frames are over the budget and there is no room for them on the disk.
    """

    def __init__(
        self,
        source: FrameSource,
        device: torch.device,
        *,
        budget: int | None = None,
        folder: Path | None = None,
        task: Task = REGRESSION,
    ) -> None:
        spec = source.spec
        shape = (spec.frame_count, 3, spec.height, spec.width)
        limit = int(available_memory() * MEMORY_SHARE) if budget is None else budget
        self.device = device
        if 3 * spec.pixels <= limit:
            self._frames = _placed(in_memory(_given(source, task), shape), device)
        else:
            self._frames = _placed(mapped(_given(source, task), shape, folder), device)

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
        return self._sent(self._frames[index])

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
        return self._sent(raster[index, :, row, :, column])

    def _sent(self, samples: Tensor) -> Tensor:
        """Return uint8 samples as floats in [0, 1] on the device."""
        if samples.device.type == "cpu" and self.device.type == "cuda":
            samples = samples.pin_memory()  # a copy from other memory would wait for the steps before
        return samples.to(self.device, non_blocking=True).float().div_(255.0)

    def image(self, index: int) -> Tensor:
        """Return frame `index` as stored: uint8 (3, H, W), on the CPU."""
        return self._frames[index].cpu()


def _given(source: FrameSource, task: Task) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a clip as a task shows them."""
    for index, frame in enumerate(source.frames()):
        yield task.given(frame, index)


def _placed(frames: Tensor, device: torch.device) -> Tensor:
    """Return `frames` on the GPU when they fit there; otherwise, and for the CPU, as they are."""
    if device.type == "cpu":
        return frames
    free, _ = torch.cuda.mem_get_info(device)
    return frames.to(device) if frames.numel() <= free // 2 else frames
