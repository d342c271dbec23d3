"""What a training step sees: whole frames, or rectangles of frames where the network can compute them alone."""

from typing import Protocol, runtime_checkable

from torch import Tensor

from nervplay.errors import GeometryError, UsageError
from nervplay.models.base import TrainingPair, VideoModel
from nervplay.training.frames import ClipFrames
from nervplay.training.recipes import Recipe

__all__ = ["Batches", "FrameBatches", "PatchBatches", "PatchNetwork", "make_batches"]


class Batches(Protocol):
    """The items that an epoch goes through."""

    count: int
    """Number of items."""
    share: float
    """Frames per item: 1, or a patch's part of the frame."""
    noun: str
    """What an item is, in the plural, for messages."""

    def pairs(self, model: VideoModel, items: Tensor) -> list[TrainingPair]:
        """Return the terms of the loss for some items; the last prediction is of full resolution.

        Args:
            model: the network.
            items: int64 (B,), each 0 .. count - 1, where the frames lie.
        """


@runtime_checkable
class PatchNetwork(Protocol):
    """A network that computes a rectangle of a frame alone, equal to a crop of the frame; `HiNeRV.patch` is one."""

    def patch(self, index: Tensor, top: Tensor | int, left: Tensor | int, height: int, width: int) -> Tensor:
        """Return rectangles of frames, float32 (B, 3, height, width)."""


class FrameBatches:
    """Every frame is an item.

    A network of per-frame embeddings that has no encoder any more is trained behind the embeddings that it stores.

    Args:
        model: the network.
        frames: the clip.
    """

    share = 1.0
    noun = "frames"

    def __init__(self, model: VideoModel, frames: ClipFrames) -> None:
        self.count = model.config.frame_count
        self._frames = frames

    def pairs(self, model: VideoModel, items: Tensor) -> list[TrainingPair]:
        """Return the terms that the network asks for; see `Batches.pairs`."""
        index = items.to(self._frames.device, non_blocking=True)
        if model.embedding_names and model.encoder is None:
            return [TrainingPair(model(index), self._frames.batch(items))]
        return model.training_pairs(index, self._frames.batch(model.source_index(items)))


class PatchBatches:
    """Every rectangle of a regular raster in every frame is an item: frame by frame, row by row, as in official HiNeRV.

    Args:
        model: a `PatchNetwork`.
        frames: the clip.
        size: (width, height) of a patch, in pixels.

    Raises:
        UsageError: a network that computes whole frames only.
        GeometryError: patches that do not tile the frame.
    """

    noun = "patches"

    def __init__(self, model: VideoModel, frames: ClipFrames, size: tuple[int, int]) -> None:
        config, (width, height) = model.config, size
        if not isinstance(model, PatchNetwork):
            raise UsageError(f"{model.architecture} computes whole frames only; leave patch_size out of its recipe")
        if config.width % width or config.height % height:
            raise GeometryError(
                f"patches of {width}x{height} do not tile frames of {config.width}x{config.height}; "
                "choose a patch_size that divides both sides, or none"
            )
        self._frames, self._size = frames, size
        self._rows, self._columns = config.height // height, config.width // width
        self.count = config.frame_count * self._rows * self._columns
        self.share = 1.0 / (self._rows * self._columns)

    def pairs(self, model: VideoModel, items: Tensor) -> list[TrainingPair]:
        """Return the one term: the patches against the source; see `Batches.pairs`."""
        assert isinstance(model, PatchNetwork)
        (width, height), cells = self._size, self._rows * self._columns
        index, row, column = items // cells, items % cells // self._columns, items % self._columns
        target = self._frames.patches(index, row, column, self._size)
        device = self._frames.device
        index, top, left = (it.to(device, non_blocking=True) for it in (index, row * height, column * width))
        return [TrainingPair(model.patch(index, top, left, height, width), target)]


def make_batches(model: VideoModel, frames: ClipFrames, recipe: Recipe) -> Batches:
    """Return what the steps of a fit see.

    Args:
        model: the network.
        frames: the clip.
        recipe: its `patch_size` decides.

    Raises:
        UsageError, GeometryError: see `PatchBatches`.
    """
    if recipe.patch_size is None:
        return FrameBatches(model, frames)
    return PatchBatches(model, frames, recipe.patch_size)
