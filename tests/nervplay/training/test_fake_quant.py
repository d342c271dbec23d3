"""Quantising in training gives the official integers, values and gradients."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nervplay.training.fake_quant import quant_noise, straight_through, symmetric_codes

CASES = ("lin_20x64", "lin_64x20", "lin_18x20", "dw_48", "dw_12", "conv_48_6", "grid_8_100", "grid_600_25")


@pytest.mark.parametrize("bits", [6, 8])
@pytest.mark.parametrize("name", CASES)
def test_integers_and_scales_are_the_official_ones(golden: Path, name: str, bits: int) -> None:
    with np.load(golden / "train_steps" / "quantiser.npz") as data:
        case = {part: data[f"{name}|{bits}|{part}"] for part in ("w", "int", "scale_f16")}
    codes, scale = symmetric_codes(torch.from_numpy(case["w"]), bits)
    np.testing.assert_array_equal(codes, case["int"])
    np.testing.assert_array_equal(scale.half(), case["scale_f16"])


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("name", ["lin", "dw", "small", "grid"])
def test_quant_noise_and_its_gradient_are_the_official_ones(
    golden: Path, name: str, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scale has a gradient, the integers have none: it comes to the largest magnitude of a group."""
    with np.load(golden / "train_steps" / "quantnoise.npz") as data:
        case: dict[str, Any] = {part: data[f"{name}|{share}|{part}"] for part in ("w", "keep", "y", "gy", "gw")}
    drawn = torch.where(torch.from_numpy(case["keep"]), share + 0.01, share - 0.01)
    monkeypatch.setattr("nervplay.training.fake_quant.torch.rand_like", lambda _: drawn)
    weight = torch.from_numpy(case["w"]).requires_grad_()
    codes, scale = symmetric_codes(weight, 6)
    mixed = quant_noise(weight, codes * scale, share)
    mixed.backward(torch.from_numpy(case["gy"]))
    assert weight.grad is not None
    np.testing.assert_allclose(mixed.detach(), case["y"], atol=1e-6)
    np.testing.assert_allclose(weight.grad, case["gw"], atol=1e-5)


def test_quant_noise_quantises_its_share() -> None:
    torch.manual_seed(0)
    mixed = quant_noise(torch.zeros(20_000), torch.ones(20_000), 0.9)
    assert mixed.mean().item() == pytest.approx(0.9, abs=0.01)


def test_straight_through_has_the_values_of_one_and_the_gradient_of_the_other() -> None:
    weight = torch.tensor([0.11, -0.27], requires_grad=True)
    quantised = torch.tensor([0.125, -0.25])
    passed = straight_through(weight, quantised)
    passed.backward(torch.tensor([1.0, 3.0]))
    assert weight.grad is not None
    torch.testing.assert_close(passed.detach(), quantised)
    assert weight.grad.tolist() == [1.0, 3.0]
