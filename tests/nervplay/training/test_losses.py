"""Every loss by name equals the official code; names and small frames that cannot be are refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nervplay.errors import GeometryError, UnknownNameError
from nervplay.training import LOSS_NAMES, get_loss

MS_SSIM_LOSSES = ("Fusion10", "Fusion11", "Fusion12", "Fusion10_5x5", "Fusion10_freq")
BOOST_LOSSES = ("Fusion10_freq", "L1_freq", "L1_ssim_freq")
COMMON_LOSSES = tuple(name for name in LOSS_NAMES if name not in (*BOOST_LOSSES, "Fusion10_5x5"))


@pytest.mark.parametrize("name", COMMON_LOSSES)
def test_equals_the_official_values(name: str, official: dict[str, Any], golden: Path) -> None:
    with np.load(golden / "misc_losses_metrics_schedules" / "images.npz") as data:
        prediction, target = torch.from_numpy(data["pred"]), torch.from_numpy(data["target"])
    value = get_loss(name)(prediction, target)
    assert value.shape == ()
    for repository in ("nerv", "enerv", "hnerv_batch_mean"):
        assert value.item() == pytest.approx(official[repository][name], abs=1e-7)


@pytest.mark.parametrize("name", COMMON_LOSSES)
def test_equals_the_second_set_of_official_values(name: str, golden: Path) -> None:
    figures = json.loads((golden / "misc_ops" / "losses.json").read_text())
    with np.load(golden / "misc_ops" / "ops.npz") as ops:
        prediction, target = (torch.from_numpy(ops[f"loss_{part}"]).float() for part in ("pred", "target"))
    assert get_loss(name)(prediction, target).item() == pytest.approx(figures[name], abs=2e-7)


@pytest.mark.parametrize("name", COMMON_LOSSES)
def test_a_batch_is_the_mean_of_its_frames(name: str, official: dict[str, Any], golden: Path) -> None:
    with np.load(golden / "misc_losses_metrics_schedules" / "images.npz") as data:
        prediction, target = torch.from_numpy(data["pred"]), torch.from_numpy(data["target"])
    for i, value in enumerate(official["hnerv_per_image"][name]):
        assert get_loss(name)(prediction[i : i + 1], target[i : i + 1]).item() == pytest.approx(value, abs=1e-7)


@pytest.mark.parametrize("name", BOOST_LOSSES)
def test_losses_with_a_spectrum_equal_the_official_values(name: str, golden: Path) -> None:
    figures = json.loads((golden / "misc_ops" / "losses.json").read_text())
    with np.load(golden / "misc_ops" / "ops.npz") as ops:
        prediction, target = (torch.from_numpy(ops[f"loss_{part}"]).float() for part in ("pred", "target"))
    assert get_loss(name)(prediction, target).item() == pytest.approx(figures[f"boost_{name}"], rel=1e-6)


def test_the_small_window_takes_the_patches_of_hinerv() -> None:
    patch = torch.rand(2, 3, 65, 80)
    assert get_loss("Fusion10_5x5")(patch, patch.flip(-1)).item() > 0.1
    with pytest.raises(GeometryError, match=r"65 pixels.*80x64"):
        get_loss("Fusion10_5x5")(patch[:, :, 1:], patch[:, :, 1:])


def test_all_official_names_are_there(official: dict[str, Any]) -> None:
    assert set(COMMON_LOSSES) == set(official["nerv"])


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_is_least_for_equal_frames_and_pulls_towards_them(name: str) -> None:
    torch.manual_seed(0)
    side = 176 if name in MS_SSIM_LOSSES else 24
    target = torch.rand(1, 3, side, side)
    prediction = (0.8 * target + 0.1).requires_grad_()
    loss = get_loss(name)
    value = loss(prediction, target)
    value.backward()
    assert prediction.grad is not None
    with torch.no_grad():
        assert loss(prediction - 0.01 * prediction.grad / prediction.grad.abs().max(), target) < value
        assert abs(loss(target, target).item()) < 1e-6


@pytest.mark.parametrize("name", [name for name in MS_SSIM_LOSSES if name != "Fusion10_5x5"])
def test_ms_ssim_needs_large_frames(name: str) -> None:
    with pytest.raises(GeometryError, match=r"161 pixels.*64x48"):
        get_loss(name)(torch.rand(1, 3, 48, 64), torch.rand(1, 3, 48, 64))


def test_ssim_takes_the_small_heads_of_nerv() -> None:
    small = torch.linspace(0, 1, 3 * 9 * 16).view(1, 3, 9, 16)
    assert 0.0 < get_loss("Fusion6")(small.flip(-1), small).item() < 1.0


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"loss 'fusion6'.*Fusion6"):
        get_loss("fusion6")
