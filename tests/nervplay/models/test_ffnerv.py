"""FFNeRV against what the official code computed (github.com/maincold2/FFNeRV at f02d4c0)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nervplay.codec.official_ffnerv import ffnerv_config, parse_ffnerv
from nervplay.errors import CheckpointError, GeometryError, UsageError
from nervplay.models.cost import measure_cost
from nervplay.models.ffnerv import PRESETS, FFNeRV, FFNeRVConfig, Independent, config_for_size, rename_upstream_keys

SMALL: dict[str, Any] = {"width": 48, "height": 24, "frame_count": 5, "grid": (2, 4), "channels": 8}
SMALL |= {"strides": (3, 2, 2), "grid_rows": (2, 3), "lower_width": 4}
COMPACT: dict[str, Any] = {"convolution": "compact", "lower_width": 8}


@pytest.fixture
def folder(golden: Path) -> Path:
    return golden / "ffnerv_b_180x320_conv_fp32_sigmoid"


def official(folder: Path) -> tuple[FFNeRV, dict[str, Any]]:
    """The network of the golden folder, and the official inputs and outputs."""
    about = json.loads((folder / "config.json").read_text())
    model = FFNeRV(ffnerv_config(parse_ffnerv(" ".join(about["train_flags"])), about["n_frames"]))
    state = torch.load(folder / "checkpoint.pth", weights_only=True)["state_dict"]
    model.load_stored_state(rename_upstream_keys(state))
    assert sum(p.numel() for p in model.parameters()) == about["params"] == 77_373
    return model.eval(), dict(np.load(folder / "io.npz"))


def small(**change: Any) -> FFNeRV:
    torch.manual_seed(3)
    return FFNeRV(FFNeRVConfig(**SMALL | change)).eval()


@torch.no_grad()
def test_independent_frames_and_flows_are_the_official_ones(folder: Path) -> None:
    model, io = official(folder)
    for place, index in enumerate(io["frame_index"]):
        own = model.independent(torch.tensor([index]))
        rgb = torch.cat([own.picture, own.logits], dim=1)[0, :, ::2, ::2]
        np.testing.assert_allclose(rgb, io["rgb5_head_stride2"][place], atol=1e-5, rtol=0)
        motion = torch.cat([own.flow, own.weights], dim=1)[0]
        np.testing.assert_allclose(motion, io["flow_head"][place], atol=1e-5, rtol=0)


@torch.no_grad()
def test_aggregation_is_the_official_one(folder: Path) -> None:
    """From the official flows and the official buffer, in which the last frame is black."""
    model, io = official(folder)
    buffer = torch.from_numpy(io["independent_all_fp16"])
    for place, index in enumerate(io["frame_index"]):
        motion = torch.from_numpy(io["flow_head"][place : place + 1])
        own = model.independent(torch.tensor([index]))._replace(flow=motion[:, :8], weights=motion[:, 8:])
        seen = buffer[[j if 0 <= j < 7 else 7 for j in model.neighbours_of(int(index))]]
        out = model.blended(own, model.aggregated(own, seen[None]))
        np.testing.assert_allclose(out[0], io["out"][place], atol=1e-5, rtol=0)


@torch.no_grad()
def test_parity_with_the_official_code(folder: Path) -> None:
    """With the official number of threads (2) all is equal to 1e-7. With another one the last bit of a convolution
    differs, and float16 makes a step of up to 2**-11 of it in a few pixels of a neighbour."""
    model, io = official(folder)
    keys = torch.stack(list(model.key_frames(range(7)).values())).numpy()
    assert (keys != io["independent_all_fp16"][:7]).mean() < 1e-3
    error = np.abs(model(torch.from_numpy(io["frame_index"])).numpy() - io["out"])
    assert error.max() < 5e-4
    assert (error > 1e-5).mean() < 1e-3


def test_initial_weights_are_the_official_ones(golden: Path, folder: Path) -> None:
    path = golden / "misc_losses_metrics_schedules" / "init_seed1.json"
    params = json.loads(path.read_text())["ffnerv_b flags"]["params"]
    flags = json.loads((folder / "config.json").read_text())["train_flags"]
    torch.manual_seed(1)
    state = FFNeRV(ffnerv_config(parse_ffnerv(" ".join(flags)), 7)).stored_state()
    names = rename_upstream_keys({name: name for name in params})
    assert set(names) == set(state)
    for ours, theirs in names.items():
        assert list(state[ours].shape) == params[theirs]["shape"]
        np.testing.assert_allclose(state[ours].flatten()[:4], params[theirs]["first"], atol=1e-7, rtol=0)
        assert state[ours].double().abs().sum().item() == pytest.approx(params[theirs]["abssum"], rel=1e-5)


@pytest.mark.parametrize(
    ("name", "frame_count", "parameters"), [("representation", 132, 12_408_509), ("compression", 600, 11_308_169)]
)
def test_the_readme_figures(name: str, frame_count: int, parameters: int) -> None:
    preset = PRESETS[name]
    assert preset.size is not None
    cost = measure_cost("ffnerv", preset.configure(*preset.size, frame_count))
    assert cost.parameters == preset.expected["parameters"] == parameters
    assert cost.gflops == pytest.approx(preset.expected["gflops"], abs=6e-4)
    with pytest.raises(GeometryError, match=f"--scale {preset.size[0]}x{preset.size[1]}"):
        preset.configure(640, 360, 5)


def test_keys_never_change() -> None:
    layers = ["stages.0.conv", "flow_head", "stages.1.conv", "stages.2.conv", "head"]
    names = ["grids.0", "grids.1", *(f"{layer}.{part}" for layer in layers for part in ("weight", "bias"))]
    assert sorted(small().stored_state()) == sorted(names)
    compact = set(small(**COMPACT).stored_state())
    assert {"stages.0.conv.spatial.weight", "stages.2.conv.mix.bias"} <= compact
    assert "stages.1.norm.running_mean" in small(norm="bn").stored_state()


def test_compact_stages_are_dense_at_stride_5() -> None:
    model = small(**COMPACT | {"strides": (5, 2, 2), "width": 80, "height": 40})
    names = set(model.stored_state())
    assert {"stages.0.conv.weight", "stages.1.conv.spatial.weight"} <= names
    assert model.stored_state()["stages.1.conv.spatial.weight"].shape == (32, 1, 3, 3)
    assert model.stored_state()["stages.1.conv.mix.weight"].shape == (32, 32, 1, 1)


@torch.no_grad()
def test_grids_are_read_linearly_and_held_at_the_end() -> None:
    model = small(grid_rows=(1, 5), frame_count=10)
    for grid in model.grids:
        grid.copy_(torch.arange(len(grid), dtype=torch.float32)[:, None, None, None].expand_as(grid))
    features = model._features(model.rows, model.shares)
    assert features.shape == (10, 8, 2, 4)
    assert not features[:, :4].any(), "a grid of one row is constant"
    expected = torch.tensor([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4])
    torch.testing.assert_close(features[:, 4, 0, 0], expected, atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_frame_is_a_blend_of_itself_and_its_neighbours() -> None:
    """Without flow and with equal weights the aggregated frame is the mean of what the warp makes of the neighbours."""
    model = small(neighbours=(-1, 2), strides=(3, 2, 2))
    model.flow_head.weight.zero_()
    model.flow_head.bias.zero_()
    keys = model.key_frames([1, 3, 4])
    assert all(key.dtype == torch.float16 for key in keys.values())
    own = model.independent(torch.tensor([2]))
    aggregated = model.aggregated(own, torch.stack([keys[1], keys[4]])[None])
    middle = (keys[1].float() + keys[4].float()) / 2
    # The sampler shrinks the frame a little (see blocks.flow); its centre stays.
    torch.testing.assert_close(aggregated[0, :, 11:13, 23:25].mean(), middle[:, 11:13, 23:25].mean(), atol=2e-3, rtol=0)
    share = torch.softmax(own.logits, dim=1)
    torch.testing.assert_close(
        model(torch.tensor([2])), share[:, :1] * own.picture + share[:, 1:] * aggregated, atol=1e-6, rtol=0
    )
    black = model.aggregated(model.independent(torch.tensor([4])), torch.stack([keys[3], keys[3] * 0])[None])
    own = model.independent(torch.tensor([4]))
    torch.testing.assert_close(model(torch.tensor([4])), model.blended(own, black), atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_frame_is_the_same_in_any_company() -> None:
    model = small()
    alone = torch.cat([model(torch.tensor([i])) for i in range(5)])
    for order in ([0, 1, 2, 3, 4], [4, 0, 4, 2], [3, 3]):
        assert torch.equal(model(torch.tensor(order)), alone[order])


def test_a_run_of_frames_costs_one_pass_each(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small(frame_count=9)
    passes: list[int] = []
    original = model.independent

    def counted(index: Tensor) -> Independent:
        passes.extend(index.tolist())
        return original(index)

    monkeypatch.setattr(model, "independent", counted)
    model(torch.tensor([3, 4, 5]))
    assert sorted(passes) == [1, 2, 3, 4, 5, 6, 7]


def test_training_holds_three_frames_against_the_source() -> None:
    model = small(side_weight=0.25).train()
    frames = torch.rand(2, 3, 24, 48)
    index = torch.tensor([0, 3])
    aggregated, alone, full = model.training_pairs(index, frames)
    assert model.training
    assert all(layer.training for layer in model.modules())
    assert (aggregated.weight, alone.weight, full.weight) == (0.25, 0.25, 1.0)
    assert all(pair.target is frames for pair in (aggregated, alone, full))
    own = model.independent(index)
    torch.testing.assert_close(alone.prediction, own.picture)
    torch.testing.assert_close(full.prediction, model.blended(own, aggregated.prediction))
    torch.testing.assert_close(full.prediction, model(index), atol=1e-5, rtol=0)
    (gradient,) = torch.autograd.grad(aggregated.prediction.sum(), [model.head.weight], allow_unused=True)
    assert gradient is None, "neighbours carry no gradient"


def test_a_clip_of_one_frame_has_black_neighbours() -> None:
    model = small(frame_count=1)
    pairs = model.training_pairs(torch.tensor([0]), torch.rand(1, 3, 24, 48))
    assert not pairs[0].prediction.any()
    assert torch.isfinite(model(torch.tensor([0]))).all()


def test_neighbours_do_not_move_batch_statistics() -> None:
    model = small(norm="bn").train()
    model.training_pairs(torch.tensor([2]), torch.rand(1, 3, 24, 48))
    assert model.stages[0].norm.num_batches_tracked == 1


@torch.no_grad()
def test_quantised_weights_lie_on_their_levels() -> None:
    model = small(weight_bits=4, **COMPACT)
    before = model(torch.tensor([2]))
    for name, value in model.named_parameters():
        level = torch.floor(value.tanh().abs() * 7) / 7 * value.sign()
        # The middle of the cell that the level stands for: the same level, another weight.
        value.copy_(torch.atanh((level.abs() + 0.5 / 7).clamp(max=0.999)) * value.sign())
        assert value.isfinite().all(), name
    assert torch.equal(model(torch.tensor([2])), before)
    coarse = model._features(model.rows[..., :1], model.shares[..., :1]) * 7
    torch.testing.assert_close(coarse, coarse.round(), atol=1e-5, rtol=0)


def test_quantised_weights_can_be_trained() -> None:
    model = small(weight_bits=8).train()
    pairs = model.training_pairs(torch.tensor([1]), torch.rand(1, 3, 24, 48))
    torch.stack([(pair.prediction - pair.target).square().mean() for pair in pairs]).sum().backward()
    for name, value in model.named_parameters():
        assert value.grad is not None, name
        assert value.grad.any(), name


def test_official_names() -> None:
    names = {
        "video_grid.1": "grids.1",
        "layers.0.conv.conv1.weight": "stages.0.conv.weight",
        "layers.1.conv.conv1.weight": "stages.1.conv.spatial.weight",
        "layers.1.conv.conv2.bias": "stages.1.conv.mix.bias",
        "layers.1.norm.running_var": "stages.1.norm.running_var",
        "head_layers.2.bias": "flow_head.bias",
        "head_layers.4.bias": "head.bias",
    }
    assert rename_upstream_keys(names) == {ours: ours for ours in names.values()}
    assert list(rename_upstream_keys({"video_field.0": 0})) == ["grids.0"]
    with pytest.raises(CheckpointError, match=r"'stem.0.weight'"):
        rename_upstream_keys({"stem.0.weight": 0})


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"strides": (3, 2, 1)}, GeometryError, "gives 24x12, the frame is 48x24"),
        ({"strides": (2, 2, 3)}, GeometryError, "the last two must make 4"),
        ({"strides": (2, 2), "width": 16, "height": 8}, GeometryError, "3 to 16"),
        ({"channels": 9}, UsageError, "channels is 9 for 2 grids"),
        ({"grid_rows": ()}, UsageError, "0 grids"),
        ({"grid_rows": (0, 3)}, UsageError, "grid_rows"),
        ({"weight_bits": 9}, UsageError, "weight_bits is 9; it must be 2 .. 8"),
        ({"weight_bits": 1}, UsageError, "weight_bits is 1"),
        ({"neighbours": ()}, UsageError, "neighbours has 0 frames"),
        ({"convolution": "compact"}, UsageError, r"cannot take 4 channels to 4: 4 and 16"),
        ({"expansion": 0.01}, UsageError, r"stages of \(0,"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        FFNeRVConfig(**SMALL | change)


def test_sizes_without_a_quarter_are_told_the_way_out() -> None:
    tiny = PRESETS["tiny"].configure
    assert tiny(1280, 720, 132).to_config()["strides"][-2:] == [2, 2]
    with pytest.raises(GeometryError, match=r"854x480 .*--crop 840x480") as error:
        tiny(854, 480, 3)
    width, height = map(int, str(error.value).rsplit("--crop ", maxsplit=1)[1].rstrip(")").split("x"))
    tiny(width, height, 3)
    with pytest.raises(GeometryError, match=r"12x12 frames .*; enlarge it"):
        tiny(12, 12, 3)


@pytest.mark.parametrize("size", [(320, 180), (1280, 720)])
@pytest.mark.parametrize("parameters", [300_000, 3_000_000])
def test_a_size_is_met(size: tuple[int, int], parameters: int) -> None:
    config = config_for_size(*size, 132, parameters)
    assert measure_cost("ffnerv", config).parameters == pytest.approx(parameters, rel=0.1)
    assert (config.width, config.height, config.frame_count) == (*size, 132)


def test_a_size_that_cannot_be_met_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no ffnerv of 132 frames of 1280x720 has about 10 .*the nearest has \d+"):
        config_for_size(1280, 720, 132, 10)
