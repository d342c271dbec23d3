"""Difference pictures against a plain float version, pixel values, PSNR of a region against `nervplay.metrics`."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.pictures import HEAT, amplified_difference, read_pixel, region_psnr, same_size, signed_difference
from app.core.view import GAINS
from nervplay.metrics import psnr


def pair(seed: int, height: int = 9, width: int = 7) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    a, b = random.integers(0, 256, (2, height, width, 4), np.uint8)
    a[..., 3] = b[..., 3] = 255
    return a, b


@settings(deadline=None)
@given(st.integers(0, 1000), st.sampled_from(GAINS))
def test_differences(seed: int, gain: int) -> None:
    a, b = pair(seed)
    apart = a.astype(int) - b
    truth = np.minimum(255, gain * np.abs(apart))
    truth[..., 3] = 255
    assert np.array_equal(amplified_difference(a, b, gain, np.empty_like(a)), truth)
    signed = np.clip(128 + np.floor(gain * apart / 2), 0, 255)
    signed[..., 3] = 255
    assert np.array_equal(signed_difference(a, b, gain, np.empty_like(a)), signed)


def test_heat_runs_from_black_to_yellow() -> None:
    parts = [[int(value) >> shift & 255 for shift in (24, 16, 8, 0)] for value in (HEAT[0], HEAT[128], HEAT[255])]
    assert parts[0] == [255, 0, 0, 0]
    assert parts[1] == pytest.approx([255, 205, 110, 81], abs=2)
    assert parts[2] == [255, 255, 255, 153]


def test_pixel_values() -> None:
    a, b = pair(1)
    small = np.zeros((3, 7, 4), np.uint8)
    small[2, 6] = 9
    readout = read_pixel([a, b, None, small], 6, 8, (7, 9))
    assert readout.values == (tuple(a[8, 6, :3]), tuple(b[8, 6, :3]), None, (9, 9, 9))
    assert readout.apart == tuple(b[8, 6, :3].astype(int) - a[8, 6, :3])
    assert read_pixel([a], 0, 0, (7, 9)).apart is None


def test_region() -> None:
    a, b = pair(2)
    window = np.ascontiguousarray(a[2:6, 1:4, :3]), np.ascontiguousarray(b[2:6, 1:4, :3])
    assert region_psnr(a, b, (1, 2, 3, 4)) == pytest.approx(psnr(*window))
    assert region_psnr(a, a, (0, 0, 7, 9)) == math.inf


def test_same_size() -> None:
    a, b = pair(3)
    assert same_size(a, b)
    assert not same_size(a, b[:4])
    assert not same_size(None, b)
