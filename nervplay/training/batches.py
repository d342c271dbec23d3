"""What a training step sees: whole frames, or rectangles of frames where the network can compute them alone."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from nervplay.errors import GeometryError, UsageError
from nervplay.models.base import ModelConfig, TrainingPair, VideoModel
from nervplay.training.frames import ClipFrames
from nervplay.training.recipes import Recipe
from nervplay.video.tasks import REGRESSION, Task, parse_task

__all__ = ["Batches", "FrameBatches", "PatchBatches", "PatchNetwork", "check_batches", "make_batches"]


class Batches(Protocol):
    """The items that an epoch goes through."""

    count: int
    """Number of items."""
    share: float
    """Frames per item: 1, or a patch's part of the frame."""
    noun: str
    """What an item is, in the plural, for messages."""

    def inputs(self, model: VideoModel, items: Tensor) -> tuple[Tensor, ...]:
        """Return what `pairs` computes with, on the device of the network.

        Args:
            model: the network.
            items: int64 (B,), each 0 .. count - 1, where the frames lie.
        """

    def pairs(self, model: VideoModel, *inputs: Tensor) -> list[TrainingPair]:
        """Return the terms of the loss; the last prediction is of full resolution.

        Args:
            model: the network.
            inputs: what `inputs` returned.
        """


@runtime_checkable
class PatchNetwork(Protocol):
    """A network that computes a rectangle of a frame alone, equal to a crop of the frame; `HiNeRV` is one."""

    @property
    def raster(self) -> int:
        """Rectangles begin at multiples of this many rows and columns, and their sides are multiples of it."""

    def cut(self, moment: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
        """Return rectangles of frames, float32 (B, 3, height, width); no value is looked at, no device waited for."""


class FrameBatches:
    """Every frame that the task shows is an item.

    A network of per-frame embeddings that has no encoder any more is trained behind the embeddings that it stores.

    Args:
        model: the network.
        frames: the clip.
        task: says which frames are seen.
    """

    share = 1.0
    noun = "frames"

    def __init__(self, model: VideoModel, frames: ClipFrames, task: Task = REGRESSION) -> None:
        self._seen = torch.tensor(task.seen(model.config.frame_count), device=frames.index_device)
        self.count = len(self._seen)
        self._frames = frames

    def inputs(self, model: VideoModel, items: Tensor) -> tuple[Tensor, ...]:
        """Return index (B,) and the frames that the network asks for; see `Batches.inputs`."""
        index = self._seen[items]
        wanted = index if _decodes_alone(model) else model.source_index(index)
        return index.to(self._frames.device, non_blocking=True), self._frames.batch(wanted)

    def pairs(self, model: VideoModel, *inputs: Tensor) -> list[TrainingPair]:
        """Return the terms that the network asks for; see `Batches.pairs`."""
        index, frames = inputs
        if _decodes_alone(model):
            return [TrainingPair(model(index), frames)]
        return model.training_pairs(index, frames)


def _decodes_alone(model: VideoModel) -> bool:
    """Whether a network of per-frame embeddings has no encoder any more."""
    return bool(model.embedding_names) and not model.has_encoder


class PatchBatches:
    """Every rectangle of a regular raster in every frame is an item: frame by frame, row by row, as in official HiNeRV.

    Args:
        model: a `PatchNetwork`.
        frames: the clip.
        size: (width, height) of a patch, in pixels.

    Raises:
        UsageError: a network that computes whole frames only.
        GeometryError: patches that do not tile the frame, or miss the network's raster.
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
        if width % model.raster or height % model.raster:
            raise GeometryError(
                f"patches of {width}x{height} miss the raster of this network; choose a patch_size of multiples of "
                f"{model.raster}, or none"
            )
        self._frames, self._size = frames, size
        self._rows, self._columns = config.height // height, config.width // width
        self.count = config.frame_count * self._rows * self._columns
        self.share = 1.0 / (self._rows * self._columns)

    def inputs(self, model: VideoModel, items: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG002 - the protocol's
        """Return frame index, top and left (B,), and the patches of the source; see `Batches.inputs`."""
        (width, height), cells = self._size, self._rows * self._columns
        index, row, column = items // cells, items % cells // self._columns, items % self._columns
        target = self._frames.patches(index, row, column, self._size)
        device = self._frames.device
        index, top, left = (it.to(device, non_blocking=True) for it in (index, row * height, column * width))
        return index, top, left, target

    def pairs(self, model: VideoModel, *inputs: Tensor) -> list[TrainingPair]:
        """Return the one term: the patches against the source; see `Batches.pairs`."""
        assert isinstance(model, PatchNetwork)
        (width, height), (index, top, left, target) = self._size, inputs
        return [TrainingPair(model.cut(index, top, left, height, width), target)]


def check_batches(recipe: Recipe, config: ModelConfig) -> None:
    """Check that a clip is long enough for a step; before it is read, where there is much other work to do first.

    Args:
        recipe: how to fit.
        config: the network that stands for the clip.

    Raises:
        UsageError: an update that takes more frames, or patches, than the clip has.
    """
    count, noun = len(parse_task(recipe.task).seen(config.frame_count)), FrameBatches.noun
    if recipe.patch_size is not None:
        width, height = recipe.patch_size
        count, noun = config.frame_count * -(-config.width // width) * -(-config.height // height), PatchBatches.noun
    if recipe.update_size > count:
        batches = f" times {recipe.accumulate} batches per update" if recipe.accumulate > 1 else ""
        what = f"the {count} {noun} of the clip"
        raise UsageError(f"batch size {recipe.batch_size}{batches} is more than {what}; lower it with --batch")


def make_batches(model: VideoModel, frames: ClipFrames, recipe: Recipe) -> Batches:
    """Return what the steps of a fit see.

    Args:
        model: the network.
        frames: the clip.
        recipe: its `patch_size` decides.

    Raises:
        UsageError, GeometryError: see `PatchBatches`; or a task that the network or its patches
            cannot learn.
    """
    task = parse_task(recipe.task)
    if task.every > 1 and not _decodes_alone(model) and model.source_index(torch.zeros(1, dtype=torch.int64)).ndim > 1:
        raise UsageError(
            f"{model.architecture} reads the neighbours of a frame, which task {task.name} hides; take another network"
        )
    if recipe.patch_size is None:
        return FrameBatches(model, frames, task)
    if task.every > 1 or task.hole:
        raise UsageError(f"task {task.name} is learned from whole frames; leave patch_size out of its recipe")
    return PatchBatches(model, frames, recipe.patch_size)
