"""What a step sees: frames, stored embeddings, or patches that are crops of the frames."""

from typing import Any

import pytest
import torch

from nervplay.errors import GeometryError, UsageError
from nervplay.models import VideoModel, resolve_preset
from nervplay.models.base import ModelConfig
from nervplay.training import Recipe, build_for_training
from nervplay.training.batches import FrameBatches, PatchBatches, make_batches
from nervplay.training.frames import ClipFrames
from nervplay.video.source import ArraySource

CPU = torch.device("cpu")


@pytest.fixture
def frames(moving_clip: ArraySource) -> ClipFrames:
    return ClipFrames(moving_clip, CPU)


def hinerv() -> VideoModel:
    architecture, preset = resolve_preset("hinerv-tiny")
    return build_for_training(architecture.name, preset.configure(64, 48, 6), Recipe())


def test_patches_are_counted_frame_by_frame_and_row_by_row(frames: ClipFrames) -> None:
    model = hinerv()
    batches = PatchBatches(model, frames, (32, 16))
    assert (batches.count, batches.share) == (6 * 3 * 2, 1 / 6)
    items = torch.tensor([0, 1, 2, 6 * 4 + 5])
    (pair,) = batches.pairs(model, *batches.inputs(model, items))
    assert pair.prediction.shape == pair.target.shape == (4, 3, 16, 32)
    whole, shown = frames.batch(torch.arange(6)), model(torch.arange(6))
    for i, (frame, top, left) in enumerate([(0, 0, 0), (0, 0, 32), (0, 16, 0), (4, 32, 32)]):
        assert torch.equal(pair.target[i], whole[frame, :, top : top + 16, left : left + 32])
        crop = shown[frame, :, top : top + 16, left : left + 32]
        torch.testing.assert_close(pair.prediction[i], crop, atol=1e-5, rtol=0)


def test_patches_that_do_not_tile_the_frame_are_refused(frames: ClipFrames) -> None:
    for size in ((24, 16), (32, 20), (128, 48)):
        with pytest.raises(GeometryError, match=rf"patches of {size[0]}x{size[1]} do not tile frames of 64x48"):
            PatchBatches(hinerv(), frames, size)


def test_patches_that_miss_the_raster_are_refused(frames: ClipFrames) -> None:
    with pytest.raises(GeometryError, match=r"patches of 2x2 miss the raster of this network; .* multiples of"):
        PatchBatches(hinerv(), frames, (2, 2))


def test_a_network_of_whole_frames_takes_no_patches(plain: Any, plain_config: ModelConfig, frames: ClipFrames) -> None:
    with pytest.raises(UsageError, match="plain computes whole frames only; leave patch_size out"):
        make_batches(plain(plain_config), frames, Recipe(patch_size=(32, 16)))


def test_the_recipe_decides(frames: ClipFrames) -> None:
    assert isinstance(make_batches(hinerv(), frames, Recipe()), FrameBatches)
    assert isinstance(make_batches(hinerv(), frames, Recipe(patch_size=(64, 48))), PatchBatches)


def test_without_an_encoder_the_stored_embeddings_are_decoded(
    plain: Any, plain_config: ModelConfig, frames: ClipFrames
) -> None:
    model = plain(plain_config)
    model.embedding.uniform_(0, 1)
    items = torch.tensor([3, 1])
    batches = FrameBatches(model, frames)
    (pair,) = batches.pairs(model, *batches.inputs(model, items))
    assert torch.equal(pair.prediction, model(items))
    assert torch.equal(pair.target, frames.batch(items))
    whole = plain(plain_config, encoder=True)
    assert len(batches.pairs(whole, *batches.inputs(whole, items))) == 2
