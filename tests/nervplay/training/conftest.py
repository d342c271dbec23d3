"""What the tests of fitting share: one thread, a small clip, a small network of our own, and the official figures."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nervplay.models.base import ModelConfig, TrainingPair, VideoModel
from nervplay.video.source import ArraySource


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Bits depend on the number of threads; tests that compare them with another process need one number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def official(golden: Path) -> dict[str, Any]:
    """Losses and schedules of the official code."""
    figures: dict[str, Any] = json.loads((golden / "misc_losses_metrics_schedules" / "expected.json").read_text())
    return figures


@pytest.fixture
def moving_clip() -> ArraySource:
    """Six frames of 64x48: smooth colours that move to the right."""
    y, x = np.mgrid[0:48, 0:64]
    frames = [np.stack([2 * x + 8 * i, 4 * y, 128 + x - y], axis=-1) for i in range(6)]
    return ArraySource(np.clip(np.stack(frames), 0, 255).astype(np.uint8))


class Plain(VideoModel):
    """A network that is not registered: one trainable picture per frame, an encoder for its brightness, and noise.

    `noise` draws from PyTorch's generator in every step, `unused` never gets a gradient: both are what a resume must
    survive. `scale` multiplies the prediction, so that a test can make it diverge.
    """

    architecture = "plain"
    embedding_names = ("embedding",)
    embedding: Tensor

    def __init__(self, config: ModelConfig, *, encoder: bool = False, noise: float = 0.0) -> None:
        super().__init__(config, encoder=encoder)
        self.register_buffer("embedding", torch.zeros(config.frame_count, 1))
        self.encoder = nn.Linear(3, 1) if encoder else None
        self.picture = nn.Parameter(torch.rand(config.frame_count, 3, config.height, config.width))
        self.unused = nn.Parameter(torch.ones(2))
        self.noise, self.scale = noise, 1.0
        self.seen: list[list[int]] = []
        self.modes: list[bool] = []

    def _codes(self, frames: Tensor) -> Tensor:
        codes: Tensor = self.encoder(frames.mean((2, 3)))  # type: ignore[misc]
        return codes

    def _show(self, index: Tensor, codes: Tensor) -> Tensor:
        return self.scale * (self.picture[index] + codes[:, :, None, None])

    def forward(self, index: Tensor) -> Tensor:
        return self._show(index, self.embedding[index])

    def training_pairs(self, index: Tensor, frames: Tensor) -> list[TrainingPair]:
        self.seen.append(index.tolist())
        self.modes.append(self.training)
        shown = self._show(index, self._codes(frames + self.noise * torch.rand_like(frames)))
        small = nn.functional.avg_pool2d(frames, 2)
        return [TrainingPair(nn.functional.avg_pool2d(shown, 2), small, 0.25), TrainingPair(shown, frames)]

    @torch.no_grad()
    def store_embeddings(self, index: Tensor, frames: Tensor) -> None:
        self.modes.append(self.training)
        self.embedding[index] = self._codes(frames)


@pytest.fixture
def plain() -> type[Plain]:
    """The class `Plain`."""
    return Plain


@pytest.fixture
def plain_config() -> ModelConfig:
    """What `Plain` needs to stand for `moving_clip`."""
    return ModelConfig(width=64, height=48, frame_count=6)
