"""PNeRV: the official code by numbers, in both statistics; KFc and BSM by hand; what its configuration refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nervplay.errors import GeometryError, UsageError
from nervplay.models.cost import count_parameters, measure_cost
from nervplay.models.pnerv import (
    PRESETS,
    BenignSelectiveMemory,
    KroneckerLinear,
    PNeRV,
    PNeRVConfig,
    config_for_size,
    kronecker_factors,
    rename_upstream_keys,
)

SMALL: dict[str, Any] = {
    "width": 48,
    "height": 24,
    "frame_count": 3,
    "stem_stride": 2,
    "strides": (1, 3, 2),
    "encoder_strides": (4, 3),
    "difference_strides": (6,),
    "channels": 5,
    "embedding_channels": 4,
    "encoder_width": 6,
}


def golden_config(**change: Any) -> PNeRVConfig:
    return PNeRVConfig(
        width=320,
        height=160,
        frame_count=4,
        strides=(2, 2, 1, 2),
        encoder_strides=(5, 4, 4),
        difference_strides=(8, 10),
        channels=10,
        embedding_channels=6,
        encoder_width=12,
        activation="leaky",
        **change,
    )


def official_state(golden: Path) -> dict[str, Tensor]:
    """The golden tensors under our names and in our shapes."""
    state = rename_upstream_keys(torch.load(golden / "pnerv_tiny2" / "checkpoint.pth", weights_only=True)["model"])
    for level in range(3):
        rows, columns = (f"pyramid.{level}.kfc.{part}.weight" for part in ("rows", "columns"))
        state[rows], state[columns] = kronecker_factors(state[rows], state[columns])
    return {
        name: value[:, :, None, None] if value.ndim == 2 and "encoder" in name else value
        for name, value in state.items()
    }


@torch.no_grad()
@pytest.mark.parametrize(("statistics", "output"), [("frame", "out_trainmode"), ("running", "out_evalmode")])
def test_parity_with_the_official_code(golden: Path, statistics: str, output: str) -> None:
    io = np.load(golden / "pnerv_tiny2" / "io.npz")
    model = PNeRV(golden_config(statistics=statistics), encoder=True).eval()
    state = official_state(golden)
    if statistics == "frame":
        state = {name: value for name, value in state.items() if ".running_" not in name}
    assert {name for name in model.state_dict() if not name.endswith(".num_batches_tracked")} == state.keys() | set(
        model.embedding_names
    )
    model.load_state_dict(state, strict=False)
    model.store_embeddings(
        torch.arange(4), (torch.from_numpy(io["frames_u8"]) / 255.0)[model.source_index(torch.arange(4))]
    )
    np.testing.assert_allclose(model.content_embedding, io["content_embedding"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(model.difference_embedding, io["diff_embedding"], atol=1e-5, rtol=0)
    if statistics == "running":
        compare_stages(model, json.loads((golden / "pnerv_tiny2" / "config.json").read_text())["stages_eval_frame1"])
    np.testing.assert_allclose(model(torch.arange(4)), io[output], atol=1e-5, rtol=0)


def compare_stages(model: PNeRV, expected: dict[str, Any]) -> None:
    """Frame 1, layer by layer, so that a failure shows where it begins."""
    names = {"dec_exc_layers.0": "stem", "dec_head_layers": "head"}
    names |= {f"dec_layers.{i}": f"stages.{i}" for i in range(4)}
    names |= {f"dec_shortcuts.{3 * i}": f"pyramid.{i}.kfc" for i in range(3)}
    names |= {f"dec_shortcuts.{3 * i + 2}": f"pyramid.{i}" for i in range(3)}
    for i in range(3):
        names |= {f"dec_bsm_r.{i}": f"bsm.{i}.memory", f"dec_bsm_h.{i}": f"bsm.{i}.attention"}
    seen: dict[str, Tensor] = {}
    hooks = [
        model.get_submodule(ours).register_forward_hook(lambda _m, _i, out, key=key: seen.update({key: out.clone()}))
        for key, ours in names.items()
    ]
    model(torch.tensor([1]))
    for hook in hooks:
        hook.remove()
    for key in names:
        assert list(seen[key].shape) == expected[key]["shape"], key
        assert seen[key].mean().item() == pytest.approx(expected[key]["mean"], abs=1e-5), f"mean behind {key}"
        assert seen[key].std(correction=0).item() == pytest.approx(expected[key]["std"], abs=1e-5), (
            f"deviation behind {key}"
        )


def test_the_official_counts(golden: Path) -> None:
    params = json.loads((golden / "pnerv_tiny2" / "config.json").read_text())["params"]
    model = PNeRV(golden_config(), encoder=True)
    assert sum(p.numel() for p in model.parameters()) == params["total"]
    assert count_parameters(model) == params["dec_in_name"] + 4 * (6 * 2 * 4 + 2 * 2 * 4)


def test_the_published_figures() -> None:
    preset = PRESETS["l-960x1920"]
    config = preset.configure(1920, 960, 132)
    assert isinstance(config, PNeRVConfig)
    assert (config.content_shape, config.source_shape) == ((16, 2, 4), (2, 40, 80))
    assert config.levels == [(40, 80), (120, 240), (240, 480), (480, 960)]
    cost = measure_cost("pnerv", config)
    assert cost.parameters - cost.embedding_values == 3_318_026
    assert cost.embedding_values == 132 * 6528
    assert preset.expected["parameters"] == cost.parameters
    assert preset.expected["gflops"] == pytest.approx(cost.gflops, abs=6e-3)
    with torch.device("meta"):
        whole = PNeRV(config, encoder=True)
    assert sum(p.numel() for p in whole.parameters()) == 3_861_084
    assert isinstance(whole.pyramid[0], nn.Identity), "the difference embedding has the size of level 0"
    with pytest.raises(GeometryError, match="--scale 1920x960"):
        preset.configure(1280, 720, 132)


def test_pnerv_m_makes_its_pyramid_of_the_content() -> None:
    config = PRESETS["m-960x1920"].configure(1920, 960, 132)
    with torch.device("meta"):
        model = PNeRV(config, encoder=True)  # type: ignore[arg-type]
    assert model.embedding_names == ("content_embedding",)
    assert model.neighbours == ()
    for level in model.pyramid:
        assert level.kfc.bias_channels.shape == (16, 1)
        assert level.kfc.rows.in_channels == 16 * 2
        assert level.kfc.columns.in_channels == 16 * 4
    with pytest.raises(GeometryError, match="--scale 1920x960"):
        PRESETS["m-960x1920"].configure(1280, 720, 132)


def test_only_the_first_level_can_take_the_source_as_it_is() -> None:
    first = PNeRV(PNeRVConfig(**SMALL))
    assert [isinstance(level, nn.Identity) for level in first.pyramid] == [True, False]
    second = PNeRV(PNeRVConfig(**SMALL | {"difference_strides": (2,)}))
    assert second.config.source_shape[1:] == second.config.levels[1]
    assert not [level for level in second.pyramid if isinstance(level, nn.Identity)]


def kfc(left: Tensor, right: Tensor) -> KroneckerLinear:
    channels, rows, rows_in = left.shape
    layer = KroneckerLinear(channels, (rows_in, right.shape[1]), (rows, right.shape[2]))
    with torch.no_grad():
        for factor, weight in zip((layer.rows, layer.columns), kronecker_factors(left, right), strict=True):
            factor.weight.copy_(weight)
    return layer


@torch.no_grad()
def test_kfc_by_hand() -> None:
    x = torch.tensor([[[[1.0, 2, 0], [0, 1, 3]]]])
    left = torch.tensor([[[1.0, 0], [1, 1], [0, 2], [2, -1]]])
    right = torch.tensor([[[1.0, 0, 2, 0], [0, 1, 0, 1], [1, 1, 0, 0]]])
    layer = kfc(left, right)
    # X R = [1 2 2 2; 3 4 0 1]; the rows of L X R: the first, the sum, twice the second, twice the first less the second
    expected = torch.tensor([[[[1.0, 2, 2, 2], [4, 6, 2, 3], [6, 8, 0, 2], [-1, 0, 4, 3]]]])
    torch.testing.assert_close(layer(x), expected)
    layer.bias_rows.copy_(torch.tensor([[1.0], [0], [2], [1]]))
    layer.bias_columns.copy_(torch.tensor([[1.0, 1, 0, -1]]))
    layer.bias_channels.copy_(torch.tensor([[3.0]]))
    bias = torch.tensor([[3.0, 3, 0, -3], [0, 0, 0, 0], [6, 6, 0, -6], [3, 3, 0, -3]])
    torch.testing.assert_close(layer(x), expected + bias)


@torch.no_grad()
def test_kfc_is_a_full_layer_whose_matrix_is_a_kronecker_product() -> None:
    torch.manual_seed(1)
    left, right = torch.randn(3, 5, 2), torch.randn(3, 4, 7)
    x = torch.randn(2, 3, 2, 4)
    out = kfc(left, right)(x)
    for c in range(3):
        full = torch.kron(left[c], right[c].T.contiguous())
        torch.testing.assert_close(out[:, c].reshape(2, -1), x[:, c].reshape(2, -1) @ full.T, atol=1e-5, rtol=1e-5)


def test_the_bias_of_kfc_has_no_gradient_to_start_with() -> None:
    layer = KroneckerLinear(2, (3, 4), (5, 6))
    layer(torch.randn(1, 2, 3, 4)).square().sum().backward()
    for bias in (layer.bias_rows, layer.bias_columns, layer.bias_channels):
        assert bias.grad is not None
        assert not bias.grad.any()
    assert layer.rows.weight.grad is not None
    assert layer.rows.weight.grad.any()


@torch.no_grad()
def test_bsm_by_hand() -> None:
    unit = BenignSelectiveMemory(1, 1)
    for name, weight, bias in (("map", 0.5, 0.0), ("memory", 2.0, 1.0), ("attention", 1.0, 0.0)):
        layer = unit.get_submodule(name)
        layer.weight.fill_(weight)
        layer.bias.fill_(bias)
    one = torch.ones(1, 1, 1, 1)
    # r = 2 (-1) + 1 = -1, m = relu(.5 2 - 1) = 0, a = sigmoid(0) = .5
    assert unit(2 * one, -one).item() == pytest.approx(0.5)
    # r = 2 (.5) + 1 = 2, m = relu(.5 2 + 2) = 3, a = sigmoid(3); (1 - a) 2 + a 2 = 2
    assert unit(2 * one, 0.5 * one).item() == pytest.approx(2.0)
    a = 1 / (1 + np.exp(-5.0))
    # r = 2 (1) + 1 = 3, m = relu(.5 4 + 3) = 5
    assert unit(4 * one, one).item() == pytest.approx(4 * a + 3 * (1 - a))


@torch.no_grad()
@pytest.mark.parametrize("training", [True, False])
def test_frame_statistics_are_those_of_each_frame(training: bool) -> None:
    torch.manual_seed(2)
    model = PNeRV(PNeRVConfig(**SMALL)).train(training)
    level = model.pyramid[1]
    level.norm.weight.copy_(torch.tensor([1.2, 0.7]))
    level.norm.bias.copy_(torch.tensor([0.1, -0.2]))
    source = torch.randn(3, 2, 4, 8)
    y = level.kfc(source)
    mean, variance = y.mean((2, 3), keepdim=True), y.var((2, 3), keepdim=True, unbiased=False)
    scaled = (y - mean) / torch.sqrt(variance + 1e-5) * level.norm.weight[:, None, None] + level.norm.bias[
        :, None, None
    ]
    torch.testing.assert_close(level(source), nn.functional.gelu(scaled), atol=1e-5, rtol=1e-5)
    assert not [name for name in model.stored_state() if "running" in name]


def test_running_statistics_are_learnt_and_stored() -> None:
    torch.manual_seed(2)
    model = PNeRV(PNeRVConfig(**SMALL, statistics="running"), encoder=True).train()
    frames = torch.rand(3, 3, 24, 48)[model.source_index(torch.arange(3))]
    before = {name: value.clone() for name, value in model.stored_state().items() if "running" in name}
    assert sorted(before) == [f"pyramid.1.norm.running_{kind}" for kind in ("mean", "var")]
    model.training_pairs(torch.arange(3), frames)
    after = model.stored_state()
    assert all(not torch.equal(after[name], value) for name, value in before.items())
    model.eval().store_embeddings(torch.arange(3), frames)
    together, alone = model(torch.arange(3)), model(torch.tensor([1]))
    torch.testing.assert_close(together[1:2], alone, atol=1e-6, rtol=0)


def test_random_numbers_are_drawn_in_the_official_order() -> None:
    torch.manual_seed(10)
    model = PNeRV(PNeRVConfig(**SMALL), encoder=True)
    torch.manual_seed(10)
    drawn: dict[str, nn.Module] = {}
    factors: dict[str, Tensor] = {}

    def stage(name: str, channels: int, stride: int) -> None:
        drawn[f"{name}.conv"] = nn.Conv2d(channels, 6, stride, stride)
        drawn[f"{name}.depthwise"] = nn.Conv2d(6, 6, 7, groups=6)
        drawn[f"{name}.expand"] = nn.Linear(6, 24)  # the official ones are linear layers
        drawn[f"{name}.project"] = nn.Linear(24, 6)

    for k, stride in enumerate((4, 3)):
        stage(f"encoder.content.stages.{k}", 6 if k else 3, stride)
        if k == 0:
            stage("encoder.difference.stages.0", 6, 6)
            drawn["encoder.difference.projection"] = nn.Conv2d(6, 2, 1)
        drawn["encoder.content.projection"] = nn.Conv2d(6, 4, 1)
    drawn["stem.conv"] = nn.Conv2d(4, 16, 1)
    channels = 4
    for i, stride in enumerate((1, 3, 2)):
        if i == 1:  # level 0 has the size of the source, 4 x 8
            left, right = torch.normal(0, 1, (2, 12, 4)), torch.normal(0, 1, (2, 8, 24))
            for factor in (left, right):
                nn.init.kaiming_normal_(factor, mode="fan_out", nonlinearity="relu")
            factors["rows"], factors["columns"] = kronecker_factors(left, right)
        if i < 2:
            drawn[f"bsm.{i}.map"] = nn.Conv2d(5, 5, 3)
            drawn[f"bsm.{i}.memory"] = nn.Conv2d(2, 5, 3)
            drawn[f"bsm.{i}.attention"] = nn.Conv2d(5, 5, 3)
        drawn[f"stages.{i}.conv"] = nn.Conv2d(channels, 5 * stride**2, 3)
        channels = 5
    drawn["head"] = nn.Conv2d(5, 3, 3)
    for name, layer in drawn.items():
        own = model.get_submodule(name)
        assert torch.equal(own.weight.flatten(), layer.weight.flatten()), name
        assert torch.equal(own.bias, layer.bias), name
    for name, weight in factors.items():
        torch.testing.assert_close(model.get_parameter(f"pyramid.1.kfc.{name}.weight"), weight, atol=1e-7, rtol=1e-6)


def test_keys_never_change() -> None:
    def both(*layers: str) -> list[str]:
        return [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]

    biases = [f"pyramid.1.kfc.bias_{part}" for part in ("rows", "columns", "channels")]
    units = [f"bsm.{i}.{layer}" for i in range(2) for layer in ("map", "memory", "attention")]
    names = [*both("stem.conv"), *biases, *(f"pyramid.1.kfc.{part}.weight" for part in ("rows", "columns"))]
    names += both("pyramid.1.norm", *units, *(f"stages.{i}.conv" for i in range(3)), "head")
    assert list(PNeRV(PNeRVConfig(**SMALL)).stored_state()) == ["content_embedding", "difference_embedding", *names]


def test_official_names() -> None:
    names = {
        "dec_exc_layers.0.conv.conv.weight": "stem.conv.weight",
        "dec_layers.3.conv.conv.bias": "stages.3.conv.bias",
        "dec_head_layers.bias": "head.bias",
        "dec_shortcuts.6.w_L": "pyramid.2.kfc.rows.weight",
        "dec_shortcuts.6.w_R": "pyramid.2.kfc.columns.weight",
        "dec_shortcuts.3.b_h": "pyramid.1.kfc.bias_rows",
        "dec_shortcuts.3.b_w": "pyramid.1.kfc.bias_columns",
        "dec_shortcuts.3.b_c": "pyramid.1.kfc.bias_channels",
        "dec_shortcuts.7.running_var": "pyramid.2.norm.running_var",
        "dec_bsm_z.1.weight": "bsm.1.map.weight",
        "dec_bsm_r.2.bias": "bsm.2.memory.bias",
        "dec_bsm_h.0.weight": "bsm.0.attention.weight",
        "enc_layers.5.gamma": "encoder.content.stages.1.scale",
        "enc_ebd_layer.weight": "encoder.content.projection.weight",
        "enc_diff_layers.2.norm.weight": "encoder.difference.stages.0.block_norm.weight",
        "enc_diff_ebd_layer.bias": "encoder.difference.projection.bias",
    }
    assert rename_upstream_keys(names) == {ours: ours for ours in names.values()}
    assert rename_upstream_keys({"dec_shortcuts.1.num_batches_tracked": 1}) == {}


def test_without_its_encoder_it_cannot_be_trained() -> None:
    with pytest.raises(UsageError, match="encoder=True"):
        PNeRV(PNeRVConfig(**SMALL)).training_pairs(torch.tensor([0]), torch.zeros(1, 3, 3, 24, 48))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"width": 49}, GeometryError, r"width 49 is not a multiple of 12.*encoder_strides \(4, 3\); crop"),
        ({"difference_strides": (5,)}, GeometryError, r"height 24 is not a multiple of 5.*difference_strides \(5,\)"),
        ({"strides": (3, 2, 2)}, GeometryError, r"stem_stride 2 and strides \(3, 2, 2\) enlarge 24 .*shrink 12 times"),
        ({"strides": (6,)}, GeometryError, r"strides \(6,\) must be 2 to 16"),
        ({"encoder_strides": ()}, GeometryError, r"encoder_strides \(\) must be 1 to 16"),
        ({"difference_strides": (2, 2, 1)}, GeometryError, r"difference_strides \(2, 2, 1\) must be at most 2"),
        ({"channels": 0}, UsageError, "channels is 0; it must lie in 1"),
        ({"stem_stride": 65}, UsageError, "stem_stride is 65"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        PNeRVConfig(**SMALL | change)


def test_other_statistics_are_refused() -> None:
    data = PNeRVConfig(**SMALL).to_config()
    assert PNeRVConfig.from_config(data).statistics == "frame"
    with pytest.raises(UsageError, match="must be one of frame, running"):
        PNeRVConfig.from_config(data | {"statistics": "batch"})


@pytest.mark.parametrize("size", [(320, 180), (1280, 720)])
@pytest.mark.parametrize("parameters", [300_000, 3_000_000])
def test_a_size_is_met(size: tuple[int, int], parameters: int) -> None:
    cost = measure_cost("pnerv", config_for_size(*size, 132, parameters))
    assert cost.parameters == pytest.approx(parameters, rel=0.1)
    assert cost.embedding_values <= 0.2 * parameters


def test_difference_embeddings_are_finer_where_there_is_room() -> None:
    fine, coarse = (config_for_size(320, 180, frames, 3_000_000) for frames in (10, 1000))
    assert fine.difference_strides == (2,)
    assert fine.source_shape[1:] == fine.levels[0]
    assert coarse.difference_strides == (5, 2, 2)


def test_a_size_that_cannot_be_met_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no pnerv of 132 frames of 1280x720 has about 1000 .*the nearest has \d+"):
        config_for_size(1280, 720, 132, 1000)


@pytest.mark.parametrize("side", [4, 8, 12])
def test_few_strides_still_leave_a_pyramid(side: int) -> None:
    config = PRESETS["tiny"].configure(side, side, 2)
    assert isinstance(config, PNeRVConfig)
    assert len(config.levels) >= 1
    assert PNeRV(config).eval()(torch.tensor([1])).shape == (1, 3, side, side)


def test_presets_for_any_size_name_a_size_that_fits() -> None:
    with pytest.raises(GeometryError, match="--crop 840x480"):
        PRESETS["tiny"].configure(854, 480, 10)
