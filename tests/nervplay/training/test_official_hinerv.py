"""Official HiNeRV training, done again by our loop: losses, rates and weights of its first steps, and its three phases.

The golden `train_steps` starts from the network `tiny_std`; patches, losses and weights are those of the official code.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nervplay.metrics import float_ms_ssim
from nervplay.models import VideoModel
from nervplay.models.hinerv import PRESETS, HiNeRV, HiNeRVConfig, rename_upstream_keys
from nervplay.training import HINERV_PHASES, PhaseHooks, Recipe
from nervplay.training.batches import PatchBatches
from nervplay.training.frames import ClipFrames
from nervplay.training.run import Run
from nervplay.video.source import ArraySource

STEPS = 10  # of an epoch: 60 patches, 6 in a batch
MAIN = Recipe.from_json(PRESETS["bunny-s"].recipe).replace(epochs=3, batch_size=6, schedule="hinerv_0.333_0.01_0.01")
"""The preset's recipe at the golden's size: 3 epochs, one of them warm-up, batches of 6 patches."""
PHASED = MAIN.replace(phases=tuple(replace(phase, epochs=2) for phase in HINERV_PHASES))


def official_state(path: Path, suffix: str = ".weight.original") -> dict[str, Tensor]:
    state = torch.load(path, weights_only=True)
    plain = {key.replace(f".parametrizations{suffix}", ".weight"): value for key, value in state.items()}
    return rename_upstream_keys({key: value for key, value in plain.items() if key.endswith((".weight", ".bias"))})


@pytest.fixture
def io(golden: Path) -> dict[str, Any]:
    return dict(np.load(golden / "train_steps" / "io.npz"))


@pytest.fixture
def frames(io: dict[str, Any]) -> ClipFrames:
    return ClipFrames(ArraySource(io["video_u8"].transpose(0, 2, 3, 1)), torch.device("cpu"))


@pytest.fixture
def model(golden: Path) -> VideoModel:
    layout: dict[str, Any] = {"strides": (5, 2, 2, 2), "channels": 48, "grid_frames": 4}
    layout |= {"grid_channels": 2, "local_channels": 4}
    network = HiNeRV(HiNeRVConfig(width=240, height=160, frame_count=10, **layout))
    network.load_stored_state(
        official_state(golden / "tiny_std" / "checkpoints" / "checkpoint_0" / "pytorch_model.bin")
    )
    return network.train()


def test_the_first_official_steps_are_reproduced(
    io: dict[str, Any], frames: ClipFrames, model: VideoModel, golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = torch.from_numpy(io["batch_patch_linear_index"]).flatten()
    monkeypatch.setattr("nervplay.training.run.epoch_order", lambda *_: order)
    run = Run(model, frames, MAIN)
    assert (run.steps, run.frames_per_step) == (STEPS, 1.0)
    run.begin_epoch(0)
    for step in range(4):
        run.train_step(step)
        assert run.optimiser.param_groups[0]["lr"] == pytest.approx(io["lr_used"][step], rel=1e-9)
        assert run.record.losses[step].item() == pytest.approx(io["loss"][step].mean(), abs=2e-6)
        np.testing.assert_allclose(run.record.psnrs[step], io["psnr"][step, :, 0], atol=1e-4)
    state = model.stored_state()
    for name, value in official_state(golden / "train_steps" / "weights_after_4_steps.pt").items():
        torch.testing.assert_close(state[name], value, atol=1e-5, rtol=0)


def test_the_terms_of_the_loss_and_the_gradient_are_the_official_ones(
    io: dict[str, Any], frames: ClipFrames, model: VideoModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = torch.from_numpy(io["batch_patch_linear_index"][0])
    monkeypatch.setattr("nervplay.training.run.epoch_order", lambda *_: order)
    batches = PatchBatches(model, frames, (80, 80))
    (pair,) = batches.pairs(model, *batches.inputs(model, order))
    l1 = (pair.prediction - pair.target).abs().mean((1, 2, 3))
    np.testing.assert_allclose(l1.detach(), io["l1"][0, :, 0], atol=1e-6)
    fidelity = float_ms_ssim(pair.prediction, pair.target, window=5).detach()
    np.testing.assert_allclose(1 - fidelity, io["msssim_loss"][0, :, 0], atol=5e-6)
    run = Run(model, frames, MAIN)
    run.begin_epoch(0)
    run.train_step(0)
    norm = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).norm()
    assert norm.item() == pytest.approx(io["grad_norm"][0], rel=1e-4), "under the limit: not clipped"


def test_the_rates_of_all_phases_are_the_official_ones(
    io: dict[str, Any], frames: ClipFrames, model: VideoModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step is taken, but for the network, whose gradients the rates do not depend on."""
    monkeypatch.setattr("nervplay.training.run.WeightShaping.pairs", lambda *_: [])
    monkeypatch.setattr("nervplay.training.run.Run._learn", lambda *_: None)
    hooks = PhaseHooks(prune=lambda *_: {})
    run, rates = Run(model, frames, PHASED, hooks), []
    for epoch in range(PHASED.total_epochs):
        for step in range(run.begin_epoch(epoch), run.steps):
            run.train_step(step)
            rates.append(run.optimiser.param_groups[0]["lr"])
    official = np.concatenate([io["lr_main"], io["lr_prune"], io["lr_quant"]])
    np.testing.assert_allclose(rates, official, rtol=1e-9)


def test_official_masks_hold_through_a_quantised_step(frames: ClipFrames, model: VideoModel, golden: Path) -> None:
    """One step of pruned training and one of Quant-Noise under the official masks."""
    model.load_stored_state(official_state(golden / "train_steps" / "weights_after_4_steps.pt"))
    official = official_state(golden / "train_steps" / "masks_after_prune.pt", ".weight.0.mask")
    asked: list[float] = []

    def prune(_model: VideoModel, share: float) -> dict[str, Tensor]:
        asked.append(share)
        return official

    recipe = PHASED.replace(epochs=0)
    run = Run(model, frames, recipe, PhaseHooks(prune=prune))
    before = {name: value.clone() for name, value in model.named_parameters()}
    for epoch in (0, 1, 2, 3):
        run.begin_epoch(epoch)
        fresh = not run.optimiser.state
        run.train_step(0)
        assert fresh == (epoch in (0, 2)), "each phase has an optimiser of its own"
    run.shaping.fold()
    assert asked == [0.15]
    pruned = json.loads((golden / "train_steps" / "config.json").read_text())["pruned"][0]
    assert sum(int((~mask).sum()) for mask in official.values()) == pytest.approx(pruned, abs=2)
    for name, mask in official.items():
        value = model.get_parameter(name)
        assert not value[~mask].any()
        assert (value[mask] != before[name][mask]).double().mean() > 0.9, name
