"""E-NeRV against what the official code computed (github.com/kyleleey/E-NeRV at 9f3529a)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nervplay.blocks.encoding import interleaved_encoding
from nervplay.codec.official_enerv_config import enerv_config
from nervplay.codec.plain_yaml import read_yaml
from nervplay.errors import CheckpointError, GeometryError, UsageError
from nervplay.models.cost import measure_cost
from nervplay.models.enerv import (
    PRESETS,
    ENeRV,
    ENeRVConfig,
    config_for_size,
    place_coordinates,
    rename_upstream_keys,
)

SMALL: dict[str, Any] = {"width": 24, "height": 12, "frame_count": 3, "grid": (2, 4), "channels": 6, "strides": (3, 2)}
SMALL |= {"lower_width": 4, "stem_widths": (8,), "block_width": 10, "hidden_width": 7, "time_levels": 4}
SMALL |= {"place_levels": 3, "modulation_levels": 5}
# Official module names: ours. A module that the official code calls with the same tensors gives the same statistics.
WATCHED = {
    "trans1": "place_transformer",
    "trans2": "fusion_transformer",
    "layers.0": "stages.0",
    "layers.1": "stages.1",
    "head_layers.1": "head",
}


@pytest.fixture
def folder(golden: Path) -> Path:
    return golden / "enerv_a_90x160"


def official(folder: Path, weights: dict[str, Tensor]) -> ENeRV:
    """The network of the golden folder with given official weights, their coordinates included."""
    settings = read_yaml((folder / "cfg.yaml").read_text())
    model = ENeRV(enerv_config(settings, 7)).eval()
    model.load_stored_state(rename_upstream_keys(weights))
    code = [interleaved_encoding(axis, 1.25, 20) for axis in weights["xy_coord"].double().numpy()]
    model.place_code.copy_(torch.from_numpy(np.concatenate(code, axis=1)))
    return model


def checkpoint(folder: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(folder / "checkpoint.pth", weights_only=True)["model"]
    return state


@torch.no_grad()
def test_parity_with_the_official_code(folder: Path) -> None:
    about, io = json.loads((folder / "config.json").read_text()), np.load(folder / "io.npz")
    model = official(folder, checkpoint(folder))
    assert sum(p.numel() for p in model.parameters()) == about["params_trainable"] == 226_466
    np.testing.assert_allclose(model.time_code[io["frame_index"]], io["pe_t"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(model.modulation_code[io["frame_index"]], io["pe_tm"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(model.place_code[:, :40], io["pe_xy_x"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(model.place_code[:, 40:], io["pe_xy_y"], atol=1e-6, rtol=0)
    seen: dict[str, Tensor] = {}
    for theirs, ours in WATCHED.items():
        model.get_submodule(ours).register_forward_hook(lambda _m, _i, out, name=theirs: seen.update({name: out}))
    for place, index in enumerate(io["frame_index"]):
        out = model(torch.tensor([index]))
        for name, tensor in seen.items():
            expected = about["stage_stats"][name][place]
            figures = f"{name} of frame {index}: {tensor.mean():.6f}, {tensor.std():.6f} for {expected}"
            assert tensor.mean().item() == pytest.approx(expected["mean"], abs=1e-5), figures
            assert tensor.std().item() == pytest.approx(expected["std"], abs=1e-5), figures
        np.testing.assert_allclose(out[0], io["out"][place], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "prefix"), [("quant6", "dequant/"), ("quant8", "dequant/"), ("prune40", "weight_after/")]
)
def test_parity_of_coarse_weights(folder: Path, name: str, prefix: str) -> None:
    """NeRV's quantiser and pruning, applied to all tensors, coordinates included."""
    io = np.load(folder / f"{name}.npz")
    weights = {key.removeprefix(prefix): torch.from_numpy(io[key]) for key in io.files if key.startswith(prefix)}
    out = official(folder, weights)(torch.from_numpy(io["frame_index"]))
    np.testing.assert_allclose(out, io["out"], atol=1e-5, rtol=0)


def test_initial_weights_are_the_official_ones(golden: Path, folder: Path) -> None:
    path = golden / "misc_losses_metrics_schedules" / "init_seed1.json"
    params = json.loads(path.read_text())["enerv_a cfg"]["params"]
    torch.manual_seed(1)
    state = ENeRV(enerv_config(read_yaml((folder / "cfg.yaml").read_text()), 7)).stored_state()
    names = rename_upstream_keys({name: name for name in params})
    assert set(names) == set(state)
    for ours, theirs in names.items():
        assert list(state[ours].shape) == params[theirs]["shape"]
        np.testing.assert_allclose(state[ours].flatten()[:4], params[theirs]["first"], atol=1e-7, rtol=0)
        assert state[ours].double().abs().sum().item() == pytest.approx(params[theirs]["abssum"], rel=1e-5)


def test_the_shipped_configuration_has_its_published_size() -> None:
    preset = PRESETS["bunny"]
    config = preset.configure(1280, 720, 132)
    assert isinstance(config, ENeRVConfig)
    assert config.widths == (588, 294, 147, 96, 96)
    cost = measure_cost("e-nerv", config)
    assert cost.parameters == preset.expected["parameters"] == 12_490_314
    assert cost.parameters + place_coordinates(config.grid).size == 12_490_602, "as the official code prints it"
    assert cost.gflops == pytest.approx(preset.expected["gflops"], abs=6e-4)
    with pytest.raises(GeometryError, match="--crop 1280x720"):
        preset.configure(1920, 1080, 132)


def test_keys_never_change() -> None:
    layers = ["time_stem.0", "time_stem.1", "place_stem"]
    layers += [f"{block}.{part}" for block in ("place_transformer", "fusion_transformer") for part in "qmep"]
    layers += ["to_grid", "modulations.0", "modulations.1", "stages.0.conv.first.conv", "stages.0.conv.second"]
    layers += ["stages.1.conv", "head", "time_branch.0", "time_branch.1"]
    short = {"q": "qkv", "m": "merge", "e": "expand", "p": "project"}
    layers = [".".join(short.get(part, part) for part in layer.split(".")) for layer in layers]
    names = [
        f"{layer}.{part}" for layer in layers for part in ("weight", "bias") if f"{layer}.{part}"[-8:] != "qkv.bias"
    ]
    assert list(ENeRV(ENeRVConfig(**SMALL)).stored_state()) == names
    narrowing = ENeRV(ENeRVConfig(**SMALL | {"expansion": 0.5, "norm": "bn"}, single_resolution=False)).stored_state()
    assert {"stages.0.conv.first.weight", "stages.0.conv.second.conv.bias", "stages.0.norm.weight"} <= set(narrowing)
    assert {"side_heads.0.weight", "stages.1.norm.running_var", "head.bias"} <= set(narrowing)


def test_parts_that_would_change_nothing_are_left_out() -> None:
    """One head of a block 64 wide has no merging layer; tokens as wide as the grid need no layer to it."""
    names = ENeRV(ENeRVConfig(**SMALL | {"channels": 64, "block_width": 64, "expansion": 0.1})).stored_state()
    assert "fusion_transformer.merge.weight" in names
    assert not {"place_transformer.merge.weight", "to_grid.weight"} & set(names)


def test_time_runs_from_0_to_1_and_places_are_corners() -> None:
    model = ENeRV(ENeRVConfig(**SMALL))
    first = interleaved_encoding(np.array([0.0, 0.5, 1.0]), 1.25, 4)
    np.testing.assert_array_equal(model.time_code, first)
    np.testing.assert_array_equal(model.modulation_code, interleaved_encoding(np.array([0.0, 0.5, 1.0]), 1.25, 5))
    expected = [[0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5], [0, 0.25, 0.5, 0.75, 0, 0.25, 0.5, 0.75]]
    np.testing.assert_array_equal(place_coordinates((2, 4)), expected)
    alone = ENeRV(ENeRVConfig(**SMALL | {"frame_count": 1})).eval()
    np.testing.assert_array_equal(alone.time_code, first[:1])
    assert torch.isfinite(alone(torch.tensor([0]))).all()


def test_several_resolutions_are_trained_together() -> None:
    model = ENeRV(ENeRVConfig(**SMALL, single_resolution=False))
    frames = torch.rand(2, 3, 12, 24)
    small, full = model.training_pairs(torch.tensor([0, 2]), frames)
    assert (small.weight, full.weight) == (1.0, 1.0)
    assert small.prediction.shape == (2, 3, 6, 12)
    torch.testing.assert_close(small.target[0, 1, 0, 0], frames[0, 1, :2, :2].mean())
    torch.testing.assert_close(full.prediction, model(torch.tensor([0, 2])))


@torch.no_grad()
@pytest.mark.parametrize("upsampling", ["conv", "deconv", "bilinear"])
@pytest.mark.parametrize("expansion", [0.5, 2.0])
def test_every_way_up_fills_the_frame(upsampling: str, expansion: float) -> None:
    config = ENeRVConfig(**SMALL | {"expansion": expansion, "upsampling": upsampling}, norm="in", output="tanh")
    assert ENeRV(config)(torch.tensor([1])).shape == (1, 3, 12, 24)


def test_official_names() -> None:
    names = {
        "layers.0.conv1.up_scale.weight": "stages.0.conv.first.conv.weight",
        "layers.0.conv2.conv.bias": "stages.0.conv.second.conv.bias",
        "layers.0.conv1.bias": "stages.0.conv.first.bias",
        "layers.2.conv.up_scale.weight": "stages.2.conv.weight",
        "layers.0.norm.running_mean": "stages.0.norm.running_mean",
        "head_layers.0.weight": "side_heads.0.weight",
        "head_layers.2.weight": "head.weight",
    }
    assert rename_upstream_keys(names | {"xy_coord": ""}) == {ours: ours for ours in names.values()}
    with pytest.raises(CheckpointError, match=r"'trans3.attn.to_qkv.weight'"):
        rename_upstream_keys({"trans3.attn.to_qkv.weight": 0})


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"strides": (2, 2)}, GeometryError, "gives 16x8, the frame is 24x12"),
        ({"strides": ()}, GeometryError, "gives 4x2"),
        ({"grid": (1, 1), "width": 6, "height": 6}, GeometryError, "has 1 places"),
        ({"grid": (80, 80), "width": 480, "height": 480}, GeometryError, "has 6400 places.*2 to 4096"),
        ({"channels": 3}, UsageError, "channels is 3; .*take 4"),
        ({"expansion": 0.01}, UsageError, r"stages of \(0,"),
        ({"place_levels": 0}, UsageError, "place_levels is 0"),
        ({"modulation_levels": 201}, UsageError, "modulation_levels"),
        ({"time_base": 30.0}, UsageError, "float32"),
        ({"place_base": 30.0}, UsageError, "float32"),
        ({"modulation_base": 30.0}, UsageError, "float32"),
        ({"stem_widths": (8,) * 17}, UsageError, "17 hidden layers"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ENeRVConfig(**SMALL | change)


@pytest.mark.parametrize("size", [(320, 180), (1280, 720)])
@pytest.mark.parametrize("parameters", [300_000, 3_000_000])
def test_a_size_is_met(size: tuple[int, int], parameters: int) -> None:
    config = config_for_size(*size, 132, parameters)
    assert measure_cost("e-nerv", config).parameters == pytest.approx(parameters, rel=0.1)
    assert (config.width, config.height, config.frame_count) == (*size, 132)


def test_a_size_that_cannot_be_met_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no e-nerv of 132 frames of 1280x720 has about 10 .*the nearest has \d+"):
        config_for_size(1280, 720, 132, 10)
