import math
from typing import Any

import numpy as np
import pytest
import torch

from nervplay.blocks.convnext import ConvNeXt
from nervplay.blocks.encoding import block_encoding
from nervplay.errors import GeometryError, UsageError
from nervplay.models.cost import measure_cost
from nervplay.models.hnerv_boost import PRESETS, HNeRVBoost, HNeRVBoostConfig, config_for_size, rename_upstream_keys

SMALL: dict[str, Any] = {"width": 24, "height": 12, "frame_count": 3, "strides": (3, 2), "encoder_strides": (3, 2)}
SMALL |= {"channels": 6, "decoder_blocks": (1, 2), "embedding_channels": 4, "encoder_width": 5, "lower_width": 4}
SMALL |= {"time_levels": 5, "time_channels": 7}


def test_times_run_from_1_over_t_to_1() -> None:
    model = HNeRVBoost(HNeRVBoostConfig(**SMALL))
    table = block_encoding(np.array([1 / 3, 2 / 3, 1.0]), 1.25, 5)
    assert model.time_code.shape == (3, 10, 1, 1)
    np.testing.assert_array_equal(model.time_code[:, :, 0, 0], table)
    other = HNeRVBoost(HNeRVBoostConfig(**SMALL | {"time_frequency": 2.5}))
    assert other.time_code[2, 0, 0, 0] == pytest.approx(math.sin(2.5))
    assert other.time_code[0, 9, 0, 0] == pytest.approx(math.cos(2.5 * 1.25**4 / 3))
    assert "time_code" not in model.stored_state()


@torch.no_grad()
def test_time_goes_into_every_block() -> None:
    torch.manual_seed(1)
    model = HNeRVBoost(HNeRVBoostConfig(**SMALL)).eval()
    code = torch.randn(1, 4, 2, 4)
    time = torch.sin(model.time_stem[2](torch.sin(model.time_stem[0](model.time_code[1:2]))))
    x = model.stem.sft(torch.sin(model.stem.block.conv(code)), time)
    for stage in model.stages:
        x = stage.sft(torch.sin(stage.block.after(stage.block.conv(x))), time)
    expected = torch.tanh(model.head(x)) / 2 + 0.5
    torch.testing.assert_close(model.decode(code, model.time_code[1:2]), expected)


@torch.no_grad()
def test_training_predicts_what_is_stored() -> None:
    model = HNeRVBoost(HNeRVBoostConfig(**SMALL), encoder=True).eval()
    frames, index = torch.rand(3, 3, 12, 24), torch.tensor([2, 0, 1])
    (pair,) = model.training_pairs(index, frames)
    model.store_embeddings(index, frames)
    torch.testing.assert_close(model(index), pair.prediction)
    assert torch.equal(pair.target, frames)
    with pytest.raises(UsageError, match="encoder=True"):
        HNeRVBoost(HNeRVBoostConfig(**SMALL)).training_pairs(index, frames)


def test_blocks_kernels_and_the_limit_of_three() -> None:
    three: dict[str, Any] = SMALL | {"width": 48, "height": 24, "strides": (3, 2, 2), "encoder_strides": (3, 4)}
    three |= {"decoder_blocks": (1, 2, 1)}
    blocks = HNeRVBoostConfig(**three).blocks
    assert [(block.kernel, block.stride) for block in blocks] == [(1, 3), (3, 2), (3, 1), (3, 2)]
    wide = HNeRVBoostConfig(**three | {"upsampling": "pshuffel"})
    assert [block.kernel for block in wide.blocks] == [1, 3, 3, 5]


def test_random_numbers_fall_in_the_official_order() -> None:
    torch.manual_seed(5)
    model = HNeRVBoost(HNeRVBoostConfig(**SMALL), encoder=True)
    torch.manual_seed(5)
    ConvNeXt([5, 4], (3, 2), 1)
    assert torch.equal(model.time_stem[0].weight, torch.nn.Conv2d(10, 14, 1).weight)
    assert torch.equal(model.time_stem[2].weight, torch.nn.Conv2d(14, 7, 1).weight)
    assert torch.equal(model.stem.block.conv.weight, torch.nn.Conv2d(4, 6, 1).weight)
    assert torch.equal(model.stem.sft.sft0.scale.hidden.weight, torch.nn.Conv2d(7, 7, 1).weight)


def test_keys_never_change() -> None:
    names = [name for name in HNeRVBoost(HNeRVBoostConfig(**SMALL)).stored_state() if not name.endswith("bias")]
    assert names[:5] == [
        "embedding",
        "time_stem.0.weight",
        "time_stem.2.weight",
        "stem.block.conv.weight",
        "stem.sft.sft0.scale.hidden.weight",
    ]
    assert [name for name in names if name.endswith("block.conv.weight")][1:] == [
        f"stages.{i}.block.conv.weight" for i in range(3)
    ]
    assert names[-1] == "head.weight"
    assert len(names) == 3 + 4 * 11 + 1


def test_official_names() -> None:
    official = {
        "stem_t.2.bias": "time_stem.2.bias",
        "decoder.0.conv.downconv.weight": "stem.block.conv.weight",
        "decoder.0.norm.running_var": "stem.block.norm.running_var",
        "decoder.0.sft_block.conv1.bias": "stem.sft.conv1.bias",
        "decoder.4.conv.upconv.0.weight": "stages.3.block.conv.weight",
        "decoder.5.conv.upconv.1.weight": "stages.4.block.conv.weight",
        "decoder.6.conv.upconv.bias": "stages.5.block.conv.bias",
        "decoder.4.norm.weight": "stages.3.block.norm.weight",
        "decoder.4.sft_block.sft1.SFT_shift_conv0.weight": "stages.3.sft.sft1.shift.hidden.weight",
        "decoder.4.sft_block.sft0.SFT_scale_conv1.bias": "stages.3.sft.sft0.scale.out.bias",
        "head_layer.weight": "head.weight",
        "encoder.stages.1.0.gamma": "encoder.stages.1.0.scale",
    }
    assert rename_upstream_keys(official) == {ours: ours for ours in official.values()}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"width": 25}, GeometryError, r"width 25 is not a multiple of 6"),
        ({"strides": (3, 3)}, GeometryError, "decoder 'pshuffel_3x3' with strides"),
        ({"kernel_min": 2}, GeometryError, "'pshuffel' needs odd kernels"),
        ({"strides": (), "decoder_blocks": ()}, GeometryError, "1 to 16 stages"),
        ({"decoder_blocks": (1,)}, UsageError, "one number for each of the strides"),
        ({"decoder_blocks": (1, 0)}, UsageError, "decoder_blocks is"),
        ({"time_levels": 0}, UsageError, "time_levels is 0"),
        ({"time_base": 2.0, "time_levels": 200}, UsageError, "leaves float32"),
        ({"time_frequency": math.nan}, UsageError, "time_frequency is nan"),
        ({"output": 1e9}, UsageError, "output is 1000000000.0"),
        ({"channels": 8000, "reduction": 0.1}, UsageError, "pass 16384 channels"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        HNeRVBoostConfig(**SMALL | change)


@torch.no_grad()
@pytest.mark.parametrize(
    "change",
    [
        {"upsampling": "conv", "kernel_min": 2, "kernel_max": 4, "decoder_blocks": (1, 1)},
        {"upsampling": "pshuffel", "norm": "bn", "activation": "gelu", "output": "sigmoid"},
        {"norm": "in", "reduction": None, "output": 0.5},
    ],
)
def test_every_kind_of_decoder_meets_the_frame(change: dict[str, Any]) -> None:
    model = HNeRVBoost(HNeRVBoostConfig(**SMALL | change)).eval()
    assert model(torch.tensor([0, 2])).shape == (2, 3, 12, 24)


@pytest.mark.parametrize(
    ("name", "frames", "million"),
    [
        ("0.75m-720x1280", 132, 0.759),
        ("1.5m-720x1280", 132, 1.508),
        ("3m-720x1280", 132, 3.081),
        ("3m-1080x1920", 600, 3.052),
        ("5m-1080x1920", 600, 5.014),
        ("10m-1080x1920", 600, 10.028),
        ("15m-1080x1920", 600, 15.041),
    ],
)
def test_figures_of_the_official_scripts(name: str, frames: int, million: float) -> None:
    preset = PRESETS[name]
    assert preset.size is not None
    cost = measure_cost("hnerv-boost", preset.configure(*preset.size, frames))
    assert cost.parameters / 1e6 == pytest.approx(million, abs=6e-4)
    assert preset.expected["parameters"] == cost.parameters
    assert preset.expected["gflops"] == pytest.approx(cost.gflops, abs=6e-4)


def test_bunny_3m_is_the_official_one() -> None:
    """C0 = 134 and 231.9 GMAC with the encoder's 2.13."""
    config = PRESETS["3m-720x1280"].configure(1280, 720, 132)
    assert isinstance(config, HNeRVBoostConfig)
    assert config.channels == 134
    assert (config.activation, config.upsampling, config.time_channels) == ("sin", "pshuffel_3x3", 32)
    assert measure_cost("hnerv-boost", config).gflops / 2 + 2.133985536 == pytest.approx(231.9, abs=0.051)


@pytest.mark.parametrize(("size", "parameters"), [((320, 180), 300_000), ((1280, 720), 1_500_000)])
def test_a_size_is_met(size: tuple[int, int], parameters: int) -> None:
    cost = measure_cost("hnerv-boost", config_for_size(*size, 132, parameters))
    assert cost.parameters == pytest.approx(parameters, rel=0.1)
    assert cost.embedding_values <= 0.2 * parameters


def test_what_presets_cannot_do_is_said() -> None:
    with pytest.raises(GeometryError, match="hnerv-boost-3m-720x1280 is made for 1280x720"):
        PRESETS["3m-720x1280"].configure(1280, 640, 132)
    with pytest.raises(UsageError, match="leave nothing"):
        PRESETS["0.75m-720x1280"].configure(1280, 720, 100_000)
    with pytest.raises(UsageError, match=r"has about 1000 .*the nearest has \d+"):
        config_for_size(1280, 720, 132, 1000)
    with pytest.raises(GeometryError, match="--crop 840x480"):
        PRESETS["tiny"].configure(854, 480, 10)
