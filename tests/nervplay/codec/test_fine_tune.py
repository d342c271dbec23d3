"""Fitting on with rounded weights: what is fitted is what is stored, and it gets better."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from nervplay.bitstream import QuantisedTensor
from nervplay.codec.fake_quantise import swapped
from nervplay.codec.fine_tune import GridTuned
from nervplay.codec.importance import output_importance
from nervplay.codec.offers import fixed_offers
from nervplay.codec.prune import apply_masks, prunable, prune_masks
from nervplay.models import VideoModel, build_model, resolve_preset
from nervplay.training import Recipe, fit
from nervplay.video import ArraySource
from nervplay.video.spec import VideoSpec


def small(preset: str) -> VideoModel:
    entry, choice = resolve_preset(preset)
    torch.manual_seed(0)
    model = build_model(entry.name, choice.configure(64, 32, 5))
    model.load_stored_state({k: torch.randn_like(v) * 0.2 for k, v in model.stored_state().items()})
    return model.eval()


def frames_of(model: VideoModel, tensors: dict[str, QuantisedTensor]) -> torch.Tensor:
    values = {name: torch.from_numpy(tensor.dequantise()) for name, tensor in tensors.items()}
    with torch.no_grad(), swapped(model, values):
        result: torch.Tensor = model(torch.arange(5))
    return result


@pytest.mark.parametrize("preset", ["hnerv-tiny", "nerv-binary-tiny", "hinerv-tiny"])
def test_fitting_on_brings_quality_back(preset: str) -> None:
    model = small(preset)
    with torch.no_grad():
        target = model(torch.arange(5)).clamp(0, 1)
    spec = VideoSpec(width=64, height=32, frame_count=5, rate=Fraction(25))
    source = ArraySource((target * 255).round().byte().permute(0, 2, 3, 1).numpy(), spec=spec)
    importance = output_importance(model, [0, 3])
    masks = prune_masks(prunable(model), 0.2)
    apply_masks(model, masks)
    tensors = {name: choice.tensor for name, (choice,) in fixed_offers(model, importance, 4, 4).items()}
    before = float((frames_of(model, tensors) - target).square().mean())
    tuned = GridTuned(model, tensors, masks)
    fit(tuned, source, Recipe(epochs=30, learning_rate=2e-3), device="cpu")
    after = tuned.quantised()
    assert list(after) == list(model.stored_state())
    error = float((frames_of(model, after) - target).square().mean())
    assert error < 0.7 * before
    with torch.no_grad():
        torch.testing.assert_close(tuned(torch.arange(5)), frames_of(model, after), rtol=0, atol=2e-5)
    for name, tensor in after.items():
        assert tensor.bits == tensors[name].bits
        if name not in model.stored_bits:
            assert np.array_equal(tensor.scale, tensors[name].scale)
        if name in masks:
            assert not tensor.dequantise()[~masks[name].numpy()].any(), name
    for name in model.embedding_names:
        assert not np.array_equal(after[name].codes, tensors[name].codes), "embeddings learn, too"


def test_plain_tensors_learn_without_a_grid() -> None:
    model = small("nerv-tiny")
    tensors = {name: value.numpy().copy() for name, value in model.stored_state().items()}
    tuned = GridTuned(model, tensors)
    tuned(torch.arange(5)).square().mean().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.sub_(0.1 * parameter.grad)
    after = tuned.quantised()
    assert any(not np.array_equal(after[name], tensors[name]) for name in tensors)
