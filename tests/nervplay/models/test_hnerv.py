import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nervplay.blocks.convnext import ConvNeXt
from nervplay.codec.official_arguments import hnerv_config, parse_hnerv
from nervplay.errors import GeometryError, UsageError
from nervplay.models.cost import measure_cost
from nervplay.models.hnerv import PRESETS, HNeRV, HNeRVConfig, config_for_size, rename_upstream_keys

SMALL: dict[str, Any] = {"width": 24, "height": 12, "frame_count": 3, "strides": (3, 2), "encoder_strides": (3, 2)}
SMALL |= {"channels": 6, "embedding_channels": 4, "encoder_width": 5, "lower_width": 4}
TIME: dict[str, Any] = {"encoder_strides": (), "time_levels": 5, "time_grid": (2, 4)}


@torch.no_grad()
def test_parity_with_the_official_code(small_golden: Path) -> None:
    folder = small_golden / "hnerv_a"
    about, io = json.loads((folder / "config.json").read_text()), np.load(folder / "io.npz")
    config = hnerv_config(parse_hnerv(about["arguments"]), about["frame_count"])
    assert config.channels == about["channels"]
    model = HNeRV(config, encoder=True).eval()
    weights = {name: torch.from_numpy(value) for name, value in np.load(folder / "weights.npz").items()}
    state = rename_upstream_keys(weights) | {"embedding": torch.from_numpy(io["embed_all"])}
    model.load_state_dict(state)
    out = model(torch.tensor([0]))[:, :, ::8, ::8]
    np.testing.assert_allclose(out, io["out_stride8"], atol=1e-5, rtol=0)
    frame = torch.from_numpy(io["input_u8"]).permute(0, 3, 1, 2) / 255.0
    model.embedding.zero_()
    model.store_embeddings(torch.tensor([2]), frame)
    np.testing.assert_allclose(model.embedding[2], io["embed_all"][0], atol=2e-5, rtol=0)
    assert not model.embedding[[0, 1, 3]].any()


def test_initial_weights_are_the_official_ones_for_time_input(small_golden: Path) -> None:
    params = json.loads((small_golden / "init_seed1.json").read_text())["hnerv_time"]["params"]
    look: dict[str, Any] = {"reduction": 2.0, "kernel_min": 3, "kernel_max": 3, "time_levels": 80, "time_grid": (8, 16)}
    torch.manual_seed(1)
    model = HNeRV(HNeRVConfig(width=640, height=320, frame_count=2, strides=(5, 4, 2), channels=15, **look))
    state, names = model.stored_state(), rename_upstream_keys({name: name for name in params})
    assert list(names) == list(state)
    for ours, theirs in names.items():
        assert list(state[ours].shape) == params[theirs]["shape"]
        np.testing.assert_allclose(state[ours].flatten()[:4], params[theirs]["first"], atol=1e-7, rtol=0)
        assert state[ours].double().abs().sum().item() == pytest.approx(params[theirs]["abssum"], rel=1e-5)


def test_the_encoder_is_drawn_before_the_decoder() -> None:
    torch.manual_seed(5)
    model = HNeRV(HNeRVConfig(**SMALL), encoder=True)
    torch.manual_seed(5)
    first = ConvNeXt([5, 4], (3, 2), 1)
    stem = torch.nn.Conv2d(4, 6, 1)
    assert model.encoder is not None
    assert torch.equal(
        model.encoder.state_dict()["stages.1.0.expand.weight"], first.state_dict()["stages.1.0.expand.weight"]
    )
    assert torch.equal(model.stem.conv.weight, stem.weight)


def test_keys_never_change() -> None:
    names = list(HNeRV(HNeRVConfig(**SMALL)).stored_state())
    assert names == [
        "embedding",
        "stem.conv.weight",
        "stem.conv.bias",
        "stages.0.conv.weight",
        "stages.0.conv.bias",
        "stages.1.conv.weight",
        "stages.1.conv.bias",
        "head.weight",
        "head.bias",
    ]
    assert "embedding" not in HNeRV(HNeRVConfig(**SMALL | TIME)).stored_state()


def test_official_encoder_names() -> None:
    names = {
        "encoder.downsample_layers.0.0.weight": "encoder.downsample.0.conv.weight",
        "encoder.downsample_layers.0.1.bias": "encoder.downsample.0.norm.bias",
        "encoder.downsample_layers.3.0.weight": "encoder.downsample.3.norm.weight",
        "encoder.downsample_layers.3.1.bias": "encoder.downsample.3.conv.bias",
        "encoder.stages.2.1.gamma": "encoder.stages.2.1.scale",
        "encoder.stages.2.1.pwconv2.weight": "encoder.stages.2.1.project.weight",
        "encoder.1.conv.downconv.1.weight": "encoder.1.conv.weight",
        "encoder.1.conv.downconv.bias": "encoder.1.conv.bias",
        "decoder.0.conv.downconv.bias": "stem.conv.bias",
        "decoder.3.conv.upconv.0.weight": "stages.2.conv.weight",
        "decoder.3.conv.upconv.1.bias": "stages.2.conv.bias",
        "decoder.1.conv.upconv.weight": "stages.0.conv.weight",
        "decoder.1.norm.running_var": "stages.0.norm.running_var",
    }
    assert rename_upstream_keys(names) == {ours: ours for ours in names.values()}


@torch.no_grad()
def test_the_stem_spreads_channels_over_positions() -> None:
    """f = 2: channel c f**2 + a f + b becomes pixel (2 y + a, 2 x + b) of channel c."""
    model = HNeRV(HNeRVConfig(**SMALL | {"strides": (3,), "kernel_max": 1}))
    assert model.config.rearrangement == (2, 2)
    assert model.stem.conv.out_channels == 24
    code = torch.randn(1, 4, 2, 4)
    wide = torch.nn.functional.gelu(model.stem.conv(code))
    moved = torch.zeros(1, 6, 4, 8)
    for c in range(6):
        for a in range(2):
            for b in range(2):
                moved[:, c, a::2, b::2] = wide[:, 4 * c + 2 * a + b]
    expected = torch.tanh(model.head(model.stages[0](moved))) / 2 + 0.5
    torch.testing.assert_close(model.decode(code), expected)


@torch.no_grad()
def test_time_input_spreads_one_position_over_a_grid() -> None:
    model = HNeRV(HNeRVConfig(**SMALL | TIME)).eval()
    assert model.time_code.shape == (3, 10, 1, 1)
    wide = torch.nn.functional.gelu(model.stem.conv(model.time_code[1:2]))
    x = wide.view(1, 6, 2, 4)
    for stage in model.stages:
        x = stage(x)
    torch.testing.assert_close(model(torch.tensor([1])), torch.tanh(model.head(x)) / 2 + 0.5)
    assert model.training_pairs(torch.tensor([1]), torch.zeros(1, 3, 12, 24))[0].prediction.shape == (1, 3, 12, 24)


@torch.no_grad()
@pytest.mark.parametrize(
    "change",
    [
        {
            "encoder_kind": "conv",
            "encoder_kernel": 2,
            "upsampling": "interpolate",
            "kernel_min": 2,
            "kernel_max": 2,
            "norm": "in",
        },
        {
            "encoder_kind": "pshuffel",
            "encoder_kernel": 3,
            "upsampling": "conv",
            "kernel_min": 2,
            "kernel_max": 4,
            "output": 0.5,
        },
        {"encoder_kind": "interpolate", "encoder_kernel": 1, "decoder_blocks": 2, "norm": "bn", "output": "sigmoid"},
        {"encoder_blocks": 2, "reduction": None, "activation": "swish"},
    ],
)
def test_every_kind_of_encoder_and_decoder_meets_the_frame(change: dict[str, Any]) -> None:
    strides = (2, 2) if "kernel" in str(change) else (3, 2)
    if change.get("upsampling") == "interpolate" or change.get("encoder_kind") == "interpolate":
        strides = (2, 2) if change["encoder_kind"] == "interpolate" else (3, 3)
    config = HNeRVConfig(**SMALL | {"width": 36, "height": 36, "strides": strides, "encoder_strides": strides} | change)
    model = HNeRV(config, encoder=True).eval()
    frames = torch.rand(3, 3, 36, 36)
    model.store_embeddings(torch.arange(3), frames)
    assert model.embedding.shape[1:] == config.embedding_shape
    torch.testing.assert_close(
        model(torch.arange(3)), model.training_pairs(torch.arange(3), frames)[0].prediction, atol=1e-5, rtol=1e-5
    )


def test_without_its_encoder_it_cannot_be_trained() -> None:
    with pytest.raises(UsageError, match="encoder=True"):
        HNeRV(HNeRVConfig(**SMALL)).training_pairs(torch.tensor([0]), torch.zeros(1, 3, 12, 24))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"width": 25}, GeometryError, r"width 25 is not a multiple of 6.*\(3, 2\); crop"),
        ({"strides": (3, 3)}, GeometryError, "decoder 'pshuffel' with strides"),
        ({"strides": (2,)}, None, ""),
        ({"kernel_min": 2}, GeometryError, "'pshuffel' needs odd kernels"),
        ({"upsampling": "conv"}, GeometryError, "'conv' even ones"),
        ({"encoder_kind": "pshuffel", "encoder_kernel": 2}, GeometryError, "encoder 'pshuffel' with kernel 2"),
        ({"time_levels": 3}, UsageError, "either encoder_strides .* or time_levels"),
        ({"encoder_strides": ()}, UsageError, "either encoder_strides .* or time_levels"),
        ({"strides": ()}, GeometryError, "1 to 16 stages"),
        ({"reduction": 0.1, "channels": 8000}, UsageError, "pass 16384 channels"),
        ({"output": 1e9}, UsageError, "output is 1000000000.0"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], error: type[Exception] | None, message: str) -> None:
    if error is None:
        HNeRVConfig(**SMALL | change)
        return
    with pytest.raises(error, match=message):
        HNeRVConfig(**SMALL | change)


@pytest.mark.parametrize("size", [(320, 180), (1280, 720), (1280, 640)])
@pytest.mark.parametrize("parameters", [300_000, 3_000_000])
def test_a_size_is_met(size: tuple[int, int], parameters: int) -> None:
    config = config_for_size(*size, 132, parameters)
    cost = measure_cost("hnerv", config)
    assert cost.parameters == pytest.approx(parameters, rel=0.1)
    assert cost.embedding_values <= 0.2 * parameters


def test_a_size_that_cannot_be_met_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no hnerv of 132 frames of 1280x720 has about 1000 .*the nearest has \d+"):
        config_for_size(1280, 720, 132, 1000)


def test_the_sample_preset() -> None:
    config = PRESETS["sample-320x180"].configure(320, 180, 132)
    assert isinstance(config, HNeRVConfig)
    assert config.embedding_shape == (7, 9, 16)
    with pytest.raises(GeometryError, match="--crop 320x180"):
        PRESETS["sample-320x180"].configure(1280, 720, 132)


def test_presets_for_any_size_name_a_size_that_fits() -> None:
    for name in ("tiny", "small", "medium"):
        with pytest.raises(GeometryError, match="--crop 840x480"):
            PRESETS[name].configure(854, 480, 10)


def test_a_paper_preset_refuses_a_clip_whose_embeddings_fill_it() -> None:
    with pytest.raises(UsageError, match="leave nothing"):
        PRESETS["0.35m-640x1280"].configure(1280, 640, 100_000)
