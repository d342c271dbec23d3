"""A task is measured where its paper measures it."""

import numpy as np
import pytest

from nervplay.errors import GeometryError
from nervplay.metrics import psnr
from nervplay.metrics.tasks import evaluate_task
from nervplay.video.source import ArraySource
from nervplay.video.tasks import Task, parse_task

CLIP = np.random.default_rng(0).integers(20, 200, (6, 40, 80, 3), dtype=np.uint8)


def test_unseen_frames_stand_apart_and_the_last_one_is_left_out() -> None:
    decoded = CLIP.copy()
    decoded[1::2] += 8
    found = evaluate_task(ArraySource(decoded), ArraySource(CLIP), parse_task("interpolation"))
    assert found["seen frames"].frames == (0, 2, 4)
    assert found["unseen frames"].frames == (1, 3)
    assert found["seen frames"].mean == np.inf
    assert found["unseen frames"].mean == pytest.approx(psnr(CLIP[0] + 8, CLIP[0]))


def test_holes_stand_apart() -> None:
    task = parse_task("inpaint-center")
    mask = task.visible(80, 40)
    assert mask is not None
    decoded = CLIP.copy()
    decoded[:, ~mask] += 16
    found = evaluate_task(ArraySource(decoded), ArraySource(CLIP), task)
    assert found["outside the holes"].mean == np.inf
    assert found["holes"].mean == pytest.approx(20 * np.log10(255 / 16))
    assert found["whole frames"].mean == pytest.approx(20 * np.log10(255 / 16) + 10 * np.log10(16), abs=1e-6)


def test_noise_is_measured_against_the_clean_clip() -> None:
    task = parse_task("denoise-gaussian_5")
    found = evaluate_task(ArraySource(CLIP), ArraySource(CLIP), task)
    assert found["against the clean clip"].mean == np.inf
    assert found["the noisy clip itself"].mean == pytest.approx(20 * np.log10(255 / 5), abs=0.2)


def test_regression_and_other_lengths() -> None:
    assert set(evaluate_task(ArraySource(CLIP), ArraySource(CLIP), Task())) == {"all frames"}
    with pytest.raises(GeometryError, match="the source has 6 frames, the file 5"):
        evaluate_task(ArraySource(CLIP[:5]), ArraySource(CLIP), Task())
