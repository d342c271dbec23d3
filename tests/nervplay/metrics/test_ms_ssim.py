"""SSIM and MS-SSIM against the official code's values; small frames have none and say so."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nervplay.errors import GeometryError
from nervplay.metrics import float_ms_ssim, float_ssim, ms_ssim, ms_ssim_obstacle, ssim
from nervplay.metrics.ms_ssim import ssim_obstacle


def test_ms_ssim_equals_the_official_values(official: dict[str, Any], images: tuple[Tensor, Tensor]) -> None:
    scores = float_ms_ssim(*images)
    assert scores.tolist() == pytest.approx(official["hnerv_msssim per image"], abs=1e-6)
    assert scores.mean().item() == pytest.approx(official["nerv_msssim_fn"][0][0], abs=1e-6)


def test_the_second_set_of_official_values(golden: Path) -> None:
    figures = json.loads((golden / "misc_ops" / "losses.json").read_text())
    with np.load(golden / "misc_ops" / "ops.npz") as ops:
        pair = (torch.from_numpy(ops[f"loss_{name}"]).float() for name in ("pred", "target"))
        assert float_ms_ssim(*pair).tolist() == pytest.approx(figures["ms_ssim_per_frame"], abs=1e-6)


def test_ssim_equals_the_official_values(official: dict[str, Any], images: tuple[Tensor, Tensor]) -> None:
    expected = official["hnerv_per_image"]["SSIM"]
    assert (1 - float_ssim(*images)).tolist() == pytest.approx(expected, abs=2e-7)


def test_ssim_of_frames_smaller_than_the_window_is_silent_and_finite() -> None:
    small = torch.linspace(0, 1, 3 * 9 * 16).view(1, 3, 9, 16)
    assert float_ssim(small, small).item() == pytest.approx(1.0)
    assert 0 < float_ssim(small, small.flip(-1)).item() < 1


def test_8_bit_frames_are_measured_on_their_values_over_255(rng: np.random.Generator) -> None:
    a = rng.integers(0, 256, (161, 170, 3), dtype=np.uint8)
    b = np.clip(a.astype(int) + rng.integers(-20, 21, a.shape), 0, 255).astype(np.uint8)
    score = ms_ssim(a, b)
    tensors = (torch.from_numpy(x.astype(np.float32) / 255).permute(2, 0, 1)[None] for x in (a, b))
    assert score == pytest.approx(float_ms_ssim(*tensors).item(), abs=1e-6)
    assert score is not None
    assert score < 0.999
    assert ms_ssim(a, a) == pytest.approx(1.0)


@pytest.mark.parametrize(("width", "height"), [(160, 400), (400, 160), (64, 48)])
def test_small_frames_have_none_and_a_reason(width: int, height: int) -> None:
    frame = np.zeros((height, width, 3), np.uint8)
    assert ms_ssim(frame, frame) is None
    reason = ms_ssim_obstacle(width, height)
    assert reason is not None
    assert "161" in reason
    assert f"{width}x{height}" in reason
    with pytest.raises(GeometryError, match=f"{width}x{height}"):
        float_ms_ssim(torch.zeros(1, 3, height, width), torch.zeros(1, 3, height, width))


def test_161_pixels_are_enough() -> None:
    frame = np.zeros((161, 161, 3), np.uint8)
    assert ms_ssim_obstacle(161, 161) is None
    assert ms_ssim(frame, frame) == pytest.approx(1.0)


def test_frames_of_different_shapes_are_refused() -> None:
    with pytest.raises(GeometryError, match="one size"):
        ms_ssim(np.zeros((200, 200, 3), np.uint8), np.zeros((200, 201, 3), np.uint8))


def test_ssim_of_8_bit_frames(rng: np.random.Generator) -> None:
    frame = rng.integers(0, 256, (24, 16, 3), dtype=np.uint8)
    noisy = (frame * 0.7 + 30).astype(np.uint8)
    pair = [torch.from_numpy(image).permute(2, 0, 1)[None] / 255 for image in (frame, noisy)]
    assert ssim(frame, noisy) == pytest.approx(float_ssim(*pair).item(), abs=1e-6)
    assert 0 < ssim(frame, noisy) < 0.99
    assert ssim(frame, frame) == pytest.approx(1.0)


def test_ssim_needs_its_window(rng: np.random.Generator) -> None:
    frame = rng.integers(0, 256, (10, 40, 3), dtype=np.uint8)
    assert ssim(frame, frame) is None
    assert ssim_obstacle(11, 11) is None
    assert "11 pixels" in ssim_obstacle(40, 10)
    with pytest.raises(GeometryError, match="one size"):
        ssim(frame, frame[:5])
