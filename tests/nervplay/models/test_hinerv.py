"""HiNeRV against what the official code computed (github.com/hmkx/HiNeRV at fdb92ec), and patches against frames."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_msssim import ms_ssim
from torch import Tensor, nn

from nervplay.errors import CheckpointError, GeometryError, UsageError
from nervplay.models.cost import measure_cost
from nervplay.models.hinerv import PRESETS, HiNeRV, HiNeRVConfig, config_for_size, rename_upstream_keys

GOLDENS: dict[str, dict[str, Any]] = {
    "tiny_std": {"strides": (5, 2, 2, 2), "grid_channels": 2, "grid_frames": 4},
    "tiny_b": {"strides": (5, 4, 2, 2), "grid_channels": 5, "depths": (2, 1, 1, 1), "upsample_norm": False},
}
SMALL: dict[str, Any] = {
    "width": 48,
    "height": 36,
    "frame_count": 8,
    "strides": (3, 2),
    "channels": 6,
    "grid_channels": 2,
    "local_channels": 4,
    "grid_frames": 3,
    "depths": (2, 1),
    "expansions": (2.0, 1.0),
}
FRAME_COUNTS = {"bunny": 132, "uvg": 600, "mcl": 150}

# By official configuration: millions of parameters, 10**9 multiply-accumulates of convolutions and linear layers.
PUBLISHED = {
    "bunny-a-s": ("3.223", "74.97"),
    "bunny-a-xs": ("1.572", "37.02"),
    "bunny-a-xxs": ("0.760", "18.08"),
    "bunny-b-s": ("3.250", "47.03"),
    "bunny-b-xs": ("1.573", "23.31"),
    "bunny-b-xxs": ("0.788", "12.08"),
    "bunny-s": ("3.250", "95.40"),
    "bunny-xs": ("1.586", "47.04"),
    "bunny-xxs": ("0.767", "22.92"),
    "mcl-l": ("13.582", "715.33"),
    "mcl-m": ("6.775", "366.39"),
    "mcl-s": ("3.291", "180.59"),
    "mcl-xs": ("1.606", "89.14"),
    "mcl-xxs": ("0.777", "43.50"),
    "uvg-a-l": ("12.956", "474.83"),
    "uvg-a-m": ("6.558", "243.54"),
    "uvg-a-s": ("3.223", "120.28"),
    "uvg-b-l": ("13.083", "298.84"),
    "uvg-b-m": ("6.396", "147.55"),
    "uvg-b-s": ("3.223", "76.04"),
    "uvg-l": ("12.819", "715.11"),
    "uvg-m": ("6.490", "366.31"),
    "uvg-s": ("3.189", "180.57"),
    "uvg-xl": ("25.650", "1378.64"),
    "uvg-xxl": ("50.727", "2645.72"),
}


def official_state(path: Path) -> dict[str, Tensor]:
    """The float weights of an unpruned official checkpoint, under our names."""
    part = ".parametrizations.weight.original"
    state = torch.load(path, weights_only=True)
    plain = {k.replace(part, ".weight"): v for k, v in state.items() if k.endswith((part, ".bias"))}
    return rename_upstream_keys(plain)


def golden_model(folder: Path) -> HiNeRV:
    config = HiNeRVConfig(width=240, height=160, frame_count=10, channels=48, local_channels=4, **GOLDENS[folder.name])
    model = HiNeRV(config)
    model.load_stored_state(official_state(folder / "checkpoints" / "checkpoint_0" / "pytorch_model.bin"))
    return model.eval()


def random_model(**changes: Any) -> HiNeRV:
    """A small network whose grids and biases matter."""
    torch.manual_seed(3)
    model = HiNeRV(HiNeRVConfig(**(SMALL | changes)))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "levels" in name or name.endswith("bias"):
                parameter.uniform_(-1, 1)
    return model.eval()


@torch.no_grad()
@pytest.mark.parametrize("name", GOLDENS)
def test_frames_equal_the_official_ones(golden: Path, name: str) -> None:
    model, io = golden_model(golden / name), np.load(golden / name / "io.npz")
    expected = json.loads((golden / name / "config.json").read_text())["stages_frame_mode"]
    seen: dict[str, Tensor] = {}
    model.stem.register_forward_hook(lambda _m, _i, out: seen.update(stem=out))
    for i, (stage, depth) in enumerate(zip(model.stages, model.config.depths, strict=True)):
        stage.register_forward_hook(lambda _m, _i, out, key=f"blocks.{i}.{depth + 1}": seen.update({key: out}))
    frames = model(torch.from_numpy(io["frames"]))
    for key, values in seen.items():
        assert values.mean().item() == pytest.approx(expected[key]["mean"], abs=1e-5), f"behind {key}"
        assert values.std(unbiased=False).item() == pytest.approx(expected[key]["std"], rel=1e-4), f"behind {key}"
    assert len(seen) == 5
    np.testing.assert_allclose(frames, io["out_frame"][:, :, 0], atol=1e-5, rtol=0)
    np.testing.assert_allclose(frames, io["out_patch"][:, :, 0], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("name", GOLDENS)
def test_patches_equal_the_official_ones(golden: Path, name: str) -> None:
    model, io = golden_model(golden / name), np.load(golden / name / "io.npz")
    index, row, column = torch.from_numpy(io["train_patch_idx"]).unbind(1)
    patches = model.patch(index, row * 80, column * 80, 80, 80)
    np.testing.assert_allclose(patches, io["train_patch_out"][:, :, 0], atol=1e-5, rtol=0)


def train(golden: Path, steps: int) -> HiNeRV:
    """Official training steps on patches of many frames: losses and gradient norms are compared on the way."""
    io = np.load(golden / "train_steps" / "io.npz")
    model = golden_model(golden / "tiny_std").train()
    optimiser = torch.optim.Adam(model.parameters())
    clip = torch.from_numpy(io["video_u8"]).float() / 255
    for step, batch in enumerate(torch.from_numpy(io["batch_patch_linear_index"][:steps])):
        index, top, left = batch // 6, batch % 6 // 3 * 80, batch % 3 * 80
        target = torch.stack([clip[i, :, y : y + 80, x : x + 80] for i, y, x in zip(index, top, left, strict=True)])
        output = model.patch(index, top, left, 80, 80).contiguous()
        fidelity = ms_ssim(output, target, data_range=1.0, win_size=5, size_average=False)
        loss = 0.7 * (output - target).abs().mean((1, 2, 3)) + 0.3 * (1 - fidelity)
        np.testing.assert_allclose(loss.detach(), io["loss"][step, :, 0], atol=2e-6, rtol=0)
        optimiser.zero_grad()
        loss.mean().backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        assert norm.item() == pytest.approx(io["grad_norm"][step], rel=1e-4)
        optimiser.param_groups[0]["lr"] = io["lr_used"][step]
        optimiser.step()
    return model


def test_a_training_step_equals_the_official_one(golden: Path) -> None:
    train(golden, 1)


@pytest.mark.slow
def test_four_training_steps_equal_the_official_ones(golden: Path) -> None:
    state = train(golden, 4).stored_state()
    for name, value in official_state(golden / "train_steps" / "weights_after_4_steps.pt").items():
        torch.testing.assert_close(state[name], value, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, {"upsample_norm": False}, {"strides": (2, 3)}, {"depths": (1, 3)}])
def test_patches_equal_crops_of_frames(changes: dict[str, Any]) -> None:
    model = random_model(**changes)
    index = torch.tensor([0, 7, 3, 3, 5])
    top, left = torch.tensor([0, 24, 6, 12, 0]), torch.tensor([0, 30, 6, 0, 30])
    frames, patches = model(index), model.patch(index, top, left, 12, 18)
    for i in range(5):
        crop = frames[i, :, top[i] : top[i] + 12, left[i] : left[i] + 18]
        torch.testing.assert_close(patches[i], crop, atol=1e-5, rtol=0)
    torch.testing.assert_close(model.patch(index, 0, 0, 36, 48), frames, atol=1e-5, rtol=0)
    torch.testing.assert_close(model.patch(index, 30, 42, 6, 6), frames[:, :, 30:, 42:], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("top", "left", "height", "width"),
    [(1, 0, 6, 6), (0, 6, 5, 6), (0, 0, 6, 0), (36, 0, 6, 6), (0, 0, 6, 54), (-6, 0, 6, 6)],
)
def test_patches_off_the_raster_or_frame_are_refused(top: int, left: int, height: int, width: int) -> None:
    with pytest.raises(GeometryError, match="multiples of 6"):
        random_model().patch(torch.tensor([0]), top, left, height, width)


@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"tiny"}))
def test_presets_have_the_published_sizes(name: str) -> None:
    preset = PRESETS[name]
    assert preset.size is not None
    cost = measure_cost("hinerv", preset.configure(*preset.size, FRAME_COUNTS[name.partition("-")[0]]))
    millions, gmacs = PUBLISHED[name]
    assert f"{cost.parameters / 1e6:.3f}" == millions
    assert f"{cost.gflops / 2:.2f}" == gmacs
    assert cost.parameters == preset.expected["parameters"]
    assert cost.gflops == pytest.approx(preset.expected["gflops"], abs=0.011)


def test_presets_are_all_published_ones_and_refuse_other_sizes() -> None:
    assert set(PRESETS) == {*PUBLISHED, "tiny"}
    with pytest.raises(GeometryError, match="hinerv-uvg-a-s is made for 1920x1080"):
        PRESETS["uvg-a-s"].configure(1280, 720, 600)


def test_letters_change_strides_depths_and_norm() -> None:
    plain, a, b = (PRESETS[f"uvg{letter}-s"].configure(1920, 1080, 600) for letter in ("", "-a", "-b"))
    assert isinstance(plain, HiNeRVConfig)
    assert isinstance(a, HiNeRVConfig)
    assert isinstance(b, HiNeRVConfig)
    assert (plain.strides, plain.grid_frames, plain.upsample_norm) == ((5, 3, 2, 2), 150, True)
    assert (a.strides, a.grid_frames, a.depths, a.upsample_norm) == ((5, 4, 3, 2), None, (3, 3, 3, 1), True)
    assert (b.strides, b.grid_frames, b.depths, b.upsample_norm) == ((5, 4, 3, 2), None, (2, 1, 1, 1), False)


def test_initial_weights_are_drawn_in_the_official_order() -> None:
    torch.manual_seed(11)
    state = HiNeRV(HiNeRVConfig(**SMALL)).stored_state()
    torch.manual_seed(11)
    # Class by class what the official constructors draw: grids, stem, then per stage grids, linear, blocks; head last.
    drawn = [torch.empty(3 * 48, 2).uniform_(-1e-3, 1e-3), torch.empty(48, 4).uniform_(-1e-3, 1e-3)]
    drawn += nn.Conv2d(6, 6, 3).parameters()
    for stride, c_local, c1, c2, hidden, depth in ((3, 4, 6, 6, 12, 2), (2, 2, 6, 3, 3, 1)):
        drawn += [torch.empty(8 >> j, stride**2 * (c_local << j)).uniform_(-1e-3, 1e-3) for j in range(3)]
        drawn += nn.Linear(7 * c_local, c1).parameters()
        for j in range(depth):
            c = c2 if j else c1
            drawn += nn.Conv2d(c, c, 3, groups=c, bias=False).parameters()
            drawn += nn.Linear(c, hidden, bias=False).parameters()
            drawn += nn.Linear(hidden, c2, bias=False).parameters()
    drawn += nn.Linear(3, 3).parameters()
    assert len(drawn) == len(state)
    for (name, own), expected in zip(state.items(), drawn, strict=True):
        assert torch.equal(own, torch.zeros_like(own) if name.endswith("bias") else expected.detach()), name


def test_names_of_stored_tensors_never_change() -> None:
    shapes = {name: tuple(value.shape) for name, value in HiNeRV(HiNeRVConfig(**SMALL)).stored_state().items()}
    assert shapes == {
        "grid.levels.0": (144, 2),
        "grid.levels.1": (48, 4),
        "stem.weight": (6, 6, 3, 3),
        "stem.bias": (6,),
        "stages.0.local.grid.levels.0": (8, 36),
        "stages.0.local.grid.levels.1": (4, 72),
        "stages.0.local.grid.levels.2": (2, 144),
        "stages.0.local.linear.weight": (6, 28),
        "stages.0.local.linear.bias": (6,),
        "stages.0.steps.0.depthwise.weight": (6, 1, 3, 3),
        "stages.0.steps.0.mixing.expand.weight": (12, 6),
        "stages.0.steps.0.mixing.project.weight": (6, 12),
        "stages.0.steps.1.depthwise.weight": (6, 1, 3, 3),
        "stages.0.steps.1.mixing.expand.weight": (12, 6),
        "stages.0.steps.1.mixing.project.weight": (6, 12),
        "stages.1.local.grid.levels.0": (8, 8),
        "stages.1.local.grid.levels.1": (4, 16),
        "stages.1.local.grid.levels.2": (2, 32),
        "stages.1.local.linear.weight": (6, 14),
        "stages.1.local.linear.bias": (6,),
        "stages.1.steps.0.depthwise.weight": (6, 1, 3, 3),
        "stages.1.steps.0.mixing.expand.weight": (3, 6),
        "stages.1.steps.0.mixing.project.weight": (3, 3),
        "head.weight": (3, 3),
        "head.bias": (3,),
    }


def test_widths_halve_downwards() -> None:
    config = HiNeRVConfig(
        **(SMALL | {"channels": 35, "strides": (2, 2, 3), "depths": (1, 1, 1), "expansions": (4.0, 4.0, 1.0)})
    )
    assert [(s.channels_in, s.channels, s.hidden) for s in config.stages] == [(35, 35, 140), (35, 17, 68), (17, 8, 8)]
    assert [s.local_levels[0].features for s in config.stages] == [4, 2, 1]


@torch.no_grad()
def test_time_is_continuous() -> None:
    model = random_model()
    at = model(torch.tensor([2.0, 2.001, 2.5]))
    torch.testing.assert_close(at[:1], model(torch.tensor([2])), atol=1e-6, rtol=0)
    assert 0 < (at[1] - at[0]).abs().max() < 0.02
    assert (at[2] - at[0]).abs().max() > (at[1] - at[0]).abs().max()


@torch.no_grad()
def test_a_batch_is_its_frames_one_by_one() -> None:
    model = random_model()
    together = model(torch.arange(8))
    assert together.shape == (8, 3, 36, 48)
    assert together.dtype == torch.float32
    for i in range(8):
        torch.testing.assert_close(together[i : i + 1], model(torch.tensor([i])), atol=1e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("frame_count", [1, 2, 3])
def test_short_clips_have_grids(frame_count: int) -> None:
    model = random_model(frame_count=frame_count)
    assert model(torch.arange(frame_count)).shape == (frame_count, 3, 36, 48)
    assert model.stages[0].local.grid.levels[2].shape[0] == 1


def test_bf16_stays_near() -> None:
    model = random_model()
    with torch.no_grad():
        full = model(torch.arange(8))
        half = model.to(torch.bfloat16)(torch.arange(8))
    assert half.dtype == torch.bfloat16
    assert (half.float() - full).abs().max() < 0.05


def test_impossible_configurations_are_refused() -> None:
    with pytest.raises(GeometryError, match="crop the clip to 48x36"):
        HiNeRVConfig(**(SMALL | {"width": 50}))
    with pytest.raises(GeometryError, match="change the strides"):
        HiNeRVConfig(**(SMALL | {"width": 4}))
    with pytest.raises(UsageError, match="same number of stages"):
        HiNeRVConfig(**(SMALL | {"depths": (1, 1, 1)}))
    for field, value in (("channels", 0), ("reduction", math.nan), ("strides", (3, 0)), ("grid_frames", 0)):
        with pytest.raises(UsageError, match=f"{field} is"):
            HiNeRVConfig(**(SMALL | {field: value}))


def test_config_comes_back_from_json() -> None:
    config = HiNeRVConfig(**SMALL)
    assert HiNeRVConfig.from_config(json.loads(json.dumps(config.to_config()))) == config
    without = HiNeRVConfig(**(SMALL | {"grid_frames": None}))
    assert HiNeRVConfig.from_config(without.to_config()) == without


@pytest.mark.parametrize("parameters", [100_000, 1_500_000])
def test_size_on_demand(parameters: int) -> None:
    cost = measure_cost("hinerv", config_for_size(1280, 720, 132, parameters))
    assert abs(cost.parameters - parameters) < parameters / 10


def test_sizes_that_cannot_be_had_are_refused() -> None:
    with pytest.raises(UsageError, match="the nearest has"):
        config_for_size(1280, 720, 132, 100)
    with pytest.raises(GeometryError):
        config_for_size(1279, 721, 132, 1_000_000)


def test_unknown_official_names_are_refused() -> None:
    for name in ("decoder.blocks.0.1.fc1.weight", "decoder.blocks.0.0.norm.weight", "decoder.stem.conv.scale"):
        with pytest.raises(CheckpointError, match=name):
            rename_upstream_keys({name: 0})
