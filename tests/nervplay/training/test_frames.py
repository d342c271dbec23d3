"""Frames become floats exactly, in an order that seed and epoch alone decide, wherever they lie."""

from pathlib import Path

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nervplay.training.frames import ClipFrames, epoch_order
from nervplay.video.source import ArraySource

CPU = torch.device("cpu")


def test_batches_are_the_frames_over_255(moving_clip: ArraySource) -> None:
    frames = ClipFrames(moving_clip, CPU)
    batch = frames.batch(torch.tensor([4, 1]))
    expected = np.stack([moving_clip.frame(4), moving_clip.frame(1)]).transpose(0, 3, 1, 2).astype(np.float32) / 255
    assert batch.dtype == torch.float32
    assert batch.is_contiguous()
    assert np.array_equal(batch.numpy(), expected)
    assert np.array_equal(frames.image(3).numpy(), moving_clip.frame(3).transpose(2, 0, 1))


def test_a_budget_decides_where_frames_lie_and_nothing_else(moving_clip: ArraySource, tmp_path: Path) -> None:
    size = 6 * 64 * 48 * 3
    inside = ClipFrames(moving_clip, CPU, budget=size, folder=tmp_path / "not there")
    outside = ClipFrames(moving_clip, CPU, budget=size - 1, folder=tmp_path)
    index = torch.tensor([5, 0, 5])
    assert torch.equal(inside.batch(index), outside.batch(index))
    corner = (index, torch.tensor([1, 0, 0]), torch.tensor([1, 1, 0]), (32, 24))
    assert torch.equal(inside.patches(*corner), outside.patches(*corner))
    assert torch.equal(inside.image(3), outside.image(3))
    assert outside.index_device == CPU


@settings(deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(0, 10**6), st.integers(1, 50))
def test_an_epoch_shows_every_frame_once(seed: int, epoch: int, count: int) -> None:
    order = epoch_order(seed, epoch, count)
    assert order.dtype == torch.int64
    assert sorted(order.tolist()) == list(range(count))
    assert torch.equal(order, epoch_order(seed, epoch, count))


def test_order_depends_on_seed_and_epoch() -> None:
    orders = {tuple(epoch_order(seed, epoch, 20).tolist()) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_order_is_the_same_for_ever() -> None:
    assert epoch_order(1, 0, 8).tolist() == [5, 0, 1, 4, 2, 6, 3, 7], (
        "resume files of older versions go on in this order"
    )
