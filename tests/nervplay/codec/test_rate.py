"""The rate as a term of the loss: reckoned right, felt by the weights, and written as it was fitted."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from nervplay.bitstream.segment import encode_segment
from nervplay.codec.fake_quantise import swapped
from nervplay.codec.rate import RateTuned, code_bits
from nervplay.errors import UsageError
from nervplay.models import resolve_preset
from nervplay.training import Recipe, build_for_training, fit
from nervplay.video import ArraySource
from nervplay.video.spec import VideoSpec

SPEC = VideoSpec(width=64, height=32, frame_count=6, rate=Fraction(25))


def clip() -> ArraySource:
    ramp = np.linspace(0, 255, 64)[None, :, None] * np.linspace(0.2, 1, 32)[:, None, None] * np.ones(3)
    return ArraySource(np.stack([np.roll(ramp, 3 * t, 1) for t in range(6)]).astype(np.uint8), spec=SPEC)


def fitted(preset: str, rate_lambda: float, epochs: int = 25) -> RateTuned:
    entry, choice = resolve_preset(preset)
    recipe = Recipe(epochs=epochs, learning_rate=5e-3)
    model = RateTuned(build_for_training(entry.name, choice.configure(64, 32, 6), recipe), rate_lambda, bits=6)
    fit(model, clip(), recipe, device="cpu")
    return model


@pytest.mark.parametrize("deviation", [0.8, 5.0, 30.0])
def test_bits_of_a_gaussian(deviation: float) -> None:
    codes = torch.randn(200_000, generator=torch.Generator().manual_seed(1)) * deviation + 3
    entropy = math.log2(deviation * math.sqrt(2 * math.pi * math.e))
    assert float(code_bits(codes.round())) / codes.numel() == pytest.approx(entropy, abs=0.1)
    assert float(code_bits(torch.full((50,), 7.0))) < 1


def test_rate_against_the_coder() -> None:
    model = fitted("hnerv-tiny", 1e-3, epochs=3)
    blob, _ = encode_segment([(tensor.codes, tensor.bits) for tensor in model.quantised().values()])
    reckoned = float(model.bits_per_pixel().detach()) * SPEC.pixels / 8
    assert len(blob) == pytest.approx(reckoned, rel=0.15)


@pytest.mark.parametrize("preset", ["hnerv-tiny", "nerv-tiny"])
def test_a_dear_rate_makes_a_small_file(preset: str) -> None:
    sizes = []
    for price in (1e-6, 3e-2):
        model = fitted(preset, price)
        sizes.append(len(encode_segment([(t.codes, t.bits) for t in model.quantised().values()])[0]))
    assert sizes[1] < 0.8 * sizes[0]


def test_unseen_frames_get_the_embeddings_of_their_neighbours() -> None:
    entry, choice = resolve_preset("hnerv-tiny")
    recipe = Recipe(epochs=1, task="interpolation")
    model = RateTuned(build_for_training(entry.name, choice.configure(64, 32, 6), recipe), 1e-3)
    fit(model, clip(), recipe, device="cpu")
    table = model.inner.get_buffer("embedding")
    assert float(table[2].abs().sum()) > 0
    torch.testing.assert_close(table[1], (table[0] + table[2]) / 2)
    torch.testing.assert_close(table[5], table[4])


def test_what_was_fitted_is_what_is_stored() -> None:
    model = fitted("hnerv-tiny", 1e-3, epochs=4)
    stored = model.quantised()
    assert all(name.endswith("weight") for name in stored)
    values = {name: torch.from_numpy(tensor.dequantise()) for name, tensor in stored.items()}
    index = torch.arange(6)
    with torch.no_grad():
        with swapped(model.inner, values):
            found = model.inner(index)
        torch.testing.assert_close(found, model(index), rtol=0, atol=5e-3)
        assert (model.inner(index) - model(index)).abs().max() > 1e-4, "rounded weights are others"
    assert model.inner.stored_state().keys() == model.stored_state().keys()


def test_the_gradient_is_that_of_the_sum() -> None:
    """Whatever the loss does with the frames, the rate's gradient comes on top of it, once."""
    entry, choice = resolve_preset("nerv-tiny")
    inner = build_for_training(entry.name, choice.configure(64, 32, 6), Recipe())
    model = RateTuned(inner, 0.5)
    index, frames = torch.tensor([1]), torch.rand(1, 3, 32, 64)

    def gradient(*, carried: bool) -> torch.Tensor:
        model.zero_grad()
        torch.manual_seed(3)
        if carried:
            pair = model.training_pairs(index, frames)[-1]
            loss = (pair.prediction - pair.target).abs().mean() * 3
        else:
            rate = model.bits_per_pixel()
            loss = (model(index) - frames).abs().mean() * 3 + 0.5 * rate
        loss.backward()
        assert model.log_steps.grad is not None
        return model.log_steps.grad.clone()

    torch.testing.assert_close(gradient(carried=True), gradient(carried=False), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
def test_the_price_is_above_0(price: float) -> None:
    entry, choice = resolve_preset("nerv-tiny")
    inner = build_for_training(entry.name, choice.configure(64, 32, 6), Recipe())
    with pytest.raises(UsageError, match="price per bit per pixel above 0"):
        RateTuned(inner, price)
