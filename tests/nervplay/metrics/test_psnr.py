"""PSNR against the official code's values and against values worked out by hand."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nervplay.errors import GeometryError
from nervplay.metrics import float_psnr, psnr, yuv_psnr


def frame(value: int, height: int = 4, width: int = 6) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_float_psnr_equals_the_official_values(official: dict[str, Any], images: tuple[Tensor, Tensor]) -> None:
    assert float_psnr(*images).tolist() == pytest.approx(official["hnerv_psnr per image (+1e-9)"], abs=1e-5)


def test_the_values_of_nerv_follow_from_ours(official: dict[str, Any], images: tuple[Tensor, Tensor]) -> None:
    errors = 10 ** (-float_psnr(*images, epsilon=0.0) / 10)  # NeRV takes one mean squared error over the whole batch
    expected = official["nerv_psnr_fn (batch MSE, repeated)"][0]
    assert -10 * math.log10(errors.mean().item()) == pytest.approx(expected[0], abs=1e-5)


def test_the_second_set_of_official_values(golden: Path) -> None:
    figures = json.loads((golden / "misc_ops" / "losses.json").read_text())
    with np.load(golden / "misc_ops" / "ops.npz") as ops:
        pair = (torch.from_numpy(ops[f"loss_{name}"]).float() for name in ("pred", "target"))
        assert float_psnr(*pair).tolist() == pytest.approx(figures["psnr_per_frame"], abs=1e-4)


def test_identical_float_frames_have_the_epsilon_s_value() -> None:
    assert float_psnr(torch.ones(2, 3, 4, 4), torch.ones(2, 3, 4, 4)).tolist() == pytest.approx([90.0, 90.0])


def test_float_psnr_keeps_no_gradient_and_no_argument_changed() -> None:
    prediction = torch.rand(1, 3, 4, 4, requires_grad=True)
    before = prediction.detach().clone()
    assert not float_psnr(prediction, torch.zeros(1, 3, 4, 4)).requires_grad
    assert torch.equal(prediction.detach(), before)


@settings(deadline=None)
@given(st.integers(0, 255), st.integers(0, 255))
def test_psnr_of_flat_frames(a: int, b: int) -> None:
    expected = math.inf if a == b else 20 * math.log10(255 / abs(a - b))
    assert psnr(frame(a), frame(b)) == pytest.approx(expected)


def test_psnr_averages_over_rows_columns_and_channels() -> None:
    other = frame(100)
    other[3, 5, 2] = 130  # one of 4 * 6 * 3 samples
    assert psnr(other, frame(100)) == pytest.approx(10 * math.log10(255**2 * 72 / 900))


def test_psnr_is_exact_for_large_frames() -> None:
    assert psnr(frame(0, 1080, 1920), frame(255, 1080, 1920)) == 0.0


@pytest.mark.parametrize("measure", [psnr, yuv_psnr])
def test_frames_of_different_shapes_are_refused(measure) -> None:
    with pytest.raises(GeometryError, match=r"\(4, 6, 3\).*\(4, 8, 3\).*one size"):
        measure(frame(0), frame(0, width=8))


def test_yuv_psnr_of_grey_frames_is_six_parts_luma() -> None:
    luma = 20 * math.log10(255 / (10 * 219 / 255))
    assert yuv_psnr(frame(100), frame(110)) == pytest.approx((6 * luma + 2 * 100) / 8, abs=1e-4)
    assert yuv_psnr(frame(100), frame(100)) == math.inf


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(4, 6), (5, 7), (1, 1)]))
def test_yuv_psnr_by_the_definition(seed: int, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(seed)
    a, b = (noise.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(2))
    planes = []
    for image in (a, b):
        red, green, blue = (image[..., part] / 255.0 for part in range(3))
        y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        planes.append((219 * y, 224 * (blue - y) / 1.8556, 224 * (red - y) / 1.5748))
    expected = 0.0
    for weight, ours, theirs in zip((6, 1, 1), *planes, strict=True):
        error = ours - theirs
        if weight == 1:  # the mean of each block, a missing row or column being its neighbour
            error = np.pad(error, ((0, size[0] % 2), (0, size[1] % 2)), mode="edge")
            error = (error[::2, ::2] + error[1::2, ::2] + error[::2, 1::2] + error[1::2, 1::2]) / 4
        expected += weight * 10 * math.log10(255**2 / np.mean(error**2)) / 8
    assert yuv_psnr(a, b) == pytest.approx(expected, abs=1e-3)
