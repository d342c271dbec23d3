"""One epoch of the official HNeRV training, done again by ours.

The golden checkpoint was written by the official script after one epoch of two steps. The weights it started from are
not stored, but Adam gives them back: after two steps the moments are m = b1 (1-b1) g1 + (1-b1) g2 and
v = b2 (1-b2) g1^2 + (1-b2) g2^2. So: undo the second update, compute g2 there, get g1 from m, undo the first update.
That v fits, too, shows that batches, loss, gradients and updates are right.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nervplay.metrics import float_ms_ssim, float_psnr
from nervplay.models import VideoModel
from nervplay.models.hnerv import HNeRVConfig, rename_upstream_keys
from nervplay.training import Recipe, build_for_training, fit, get_loss
from nervplay.training.frames import ClipFrames
from nervplay.training.run import Run
from nervplay.video.source import ArraySource

BATCHES = ([0, 1], [2, 3])  # frames of the two steps; the other five ways to split four frames do not fit the moments
RECIPE = Recipe(epochs=1, batch_size=2, learning_rate=1e-3, schedule="cosine_0.1_1_0.1", loss="L2")
B1, B2, EPSILON = 0.9, 0.999, 1e-8
Weights = dict[str, Tensor]


@dataclass
class Golden:
    """What the official script left: weights, moments and rate after two steps, its frames and its figures."""

    weights: Weights
    first: Weights
    second: Weights
    rate: float
    source: ArraySource
    embeddings: Tensor
    figures: dict[str, Any]


@pytest.fixture(scope="module")
def after(golden: Path) -> Golden:
    """The golden run `hnerv_a`, in double precision."""
    folder = golden / "hnerv_a"
    file = torch.load(folder / "checkpoint.pth", weights_only=True)
    adam = file["optimizer"]

    def moment(name: str) -> Weights:
        return rename_upstream_keys({key: adam["state"][i][name].double() for i, key in enumerate(file["state_dict"])})

    with np.load(folder / "io.npz") as io:
        source, embeddings = ArraySource(io["input_u8"]), torch.from_numpy(io["embed_all"])
    return Golden(
        rename_upstream_keys({key: value.double() for key, value in file["state_dict"].items()}),
        moment("exp_avg"),
        moment("exp_avg_sq"),
        adam["param_groups"][0]["lr"],
        source,
        embeddings,
        json.loads((folder / "config.json").read_text())["official_metrics"],
    )


@pytest.fixture
def model() -> VideoModel:
    """The golden's network with its encoder."""
    config = HNeRVConfig(
        width=320,
        height=240,
        frame_count=4,
        strides=(5, 4, 2, 2),
        encoder_strides=(5, 4, 2, 2),
        channels=23,
        embedding_channels=8,
        encoder_width=32,
    )
    return build_for_training("hnerv", config, RECIPE)


def load(model: VideoModel, weights: Weights) -> None:
    incompatible = model.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
    assert incompatible.missing_keys == ["embedding"]
    assert not incompatible.unexpected_keys


def gradients(model: VideoModel, weights: Weights, batch: list[int], frames: ClipFrames) -> Weights:
    load(model, weights)
    model.zero_grad()
    index = torch.tensor(batch)
    (pair,) = model.training_pairs(index, frames.batch(index))
    get_loss("L2")(pair.prediction, pair.target).backward()
    return {name: p.grad.double() for name, p in model.named_parameters() if p.grad is not None}


def start(model: VideoModel, after: Golden, frames: ClipFrames) -> Weights:
    """Return the weights before the epoch, by undoing both updates; check that the second moments agree."""
    between, before = {}, {}
    for name, w in after.weights.items():
        m, v = after.first[name] / (1 - B1**2), after.second[name] / (1 - B2**2)
        between[name] = w + after.rate * m / (v.sqrt() + EPSILON)
    g2 = gradients(model, between, BATCHES[1], frames)
    for name, w in between.items():
        g1 = (after.first[name] - (1 - B1) * g2[name]) / (B1 * (1 - B1))
        v = B2 * (1 - B2) * g1**2 + (1 - B2) * g2[name] ** 2
        assert torch.linalg.norm(v - after.second[name]) < 1e-4 * torch.linalg.norm(after.second[name]), name
        before[name] = w + 1e-4 * g1 / (g1.abs() + EPSILON)  # the first rate is a tenth: the warm-up
    return before


def test_one_official_epoch_is_reproduced(after: Golden, model: VideoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = ClipFrames(after.source, torch.device("cpu"))
    load(model, start(model, after, frames))
    monkeypatch.setattr("nervplay.training.run.epoch_order", lambda *_: torch.tensor(BATCHES[0] + BATCHES[1]))
    run = Run(model.train(), frames, RECIPE)
    for step in range(run.begin_epoch(0), run.steps):
        run.train_step(step)
    group = run.optimiser.param_groups[0]
    assert group["lr"] == pytest.approx(after.rate, rel=1e-12)
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((B1, B2), EPSILON, 0)
    psnrs = run.record.psnrs.mean(1).tolist()
    assert psnrs[0] == pytest.approx(8.72, abs=0.0051), "as the official log prints it"
    assert sum(psnrs) / 2 == pytest.approx(9.37, abs=0.0051)
    for name, parameter in model.named_parameters():
        moments = run.optimiser.state[parameter]
        for ours, theirs in ((moments["exp_avg"], after.first), (moments["exp_avg_sq"], after.second)):
            assert torch.linalg.norm(ours - theirs[name]) < 1e-4 * torch.linalg.norm(theirs[name]), name
        # a gradient near zero can flip its sign, and Adam then steps the other way
        off = (parameter.detach() - after.weights[name]).abs()
        assert (off > 1e-6).double().mean() < 1e-2, name
        assert off.max() < 2.1 * after.rate, name


def test_the_official_evaluation_is_reproduced(after: Golden, model: VideoModel) -> None:
    load(model, after.weights)
    fit(model, after.source, RECIPE.replace(learning_rate=1e-30), device="cpu")
    assert torch.allclose(model.stored_state()["embedding"], after.embeddings, atol=2e-5)
    target = ClipFrames(after.source, torch.device("cpu")).batch(torch.arange(4))
    with torch.no_grad():
        shown = model(torch.arange(4))
    assert float_psnr(shown, target).mean().item() == pytest.approx(after.figures["pred_seen_psnr"][0], abs=1e-4)
    assert float_ms_ssim(shown, target).mean().item() == pytest.approx(after.figures["pred_seen_ssim"][0], abs=1e-5)
