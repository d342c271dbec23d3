from typing import Any

import pytest
import torch

from nervplay.blocks.convnext import ConvNeXt
from nervplay.blocks.haar import haar_merge, haar_split
from nervplay.errors import CheckpointError, GeometryError, UsageError
from nervplay.models.base import get_architecture
from nervplay.models.cost import measure_cost
from nervplay.models.snerv import PRESETS, SNeRV, SNeRVConfig, config_for_size, rename_upstream_keys

SMALL: dict[str, Any] = {"width": 48, "height": 24, "frame_count": 3, "strides": (3, 2, 1), "encoder_strides": (3, 2)}
SMALL |= {"channels": 6, "embedding_channels": 4, "encoder_width": 5, "lower_width": 4, "residual_blocks": 1}
FRAMES = {(960, 480): 600, (1280, 640): 132, (1920, 960): 600}
ENCODER_GMAC = {(960, 480): 0.233242752, (1280, 640): 0.393805952, (1920, 960): 0.878157952}


def fitted(**change: Any) -> tuple[SNeRV, torch.Tensor]:
    torch.manual_seed(3)
    model = SNeRV(SNeRVConfig(**SMALL | change), encoder=True).eval()
    frames = torch.rand(3, 3, 24, 48)
    model.store_embeddings(torch.arange(3), frames)
    return model, frames


@torch.no_grad()
def test_what_is_stored_and_what_training_predicts() -> None:
    model, frames = fitted()
    low, high = haar_split(frames)
    assert torch.equal(model.norm[:, 0], low.amin((1, 2, 3)))
    assert torch.equal(model.norm[:, 1], low.amax((1, 2, 3)))
    pairs = model.training_pairs(torch.arange(3), frames)
    assert [tuple(pair.prediction.shape) for pair in pairs] == [(3, 3, 12, 24), (3, 9, 12, 24), (3, 3, 24, 48)]
    span = (model.norm[:, 1] - model.norm[:, 0])[:, None, None, None]
    torch.testing.assert_close(pairs[0].target * span + model.norm[:, 0][:, None, None, None], low)
    assert torch.equal(pairs[1].target.view(3, 3, 3, 12, 24), high)
    assert torch.equal(pairs[2].target, frames)
    torch.testing.assert_close(model(torch.arange(3)), pairs[2].prediction)
    predicted = pairs[0].prediction * span + model.norm[:, 0][:, None, None, None]
    bands = pairs[1].prediction.view(3, 3, 3, 12, 24)
    torch.testing.assert_close(haar_merge(predicted, bands), pairs[2].prediction)
    assert [pair.weight for pair in pairs] == [1, 1, 1]


@torch.no_grad()
def test_the_norm_of_one_frame_is_not_that_of_another() -> None:
    model, frames = fitted()
    dark = frames.clone()
    dark[1] *= 0.25
    model.store_embeddings(torch.tensor([1]), dark[1:2])
    low, _ = haar_split(dark)
    assert model.norm[1, 1] == low[1].max()
    assert model.norm[0, 1] == low[0].max()
    assert model(torch.tensor([1])).max() < model(torch.tensor([0])).max()


@torch.no_grad()
def test_the_stem_spreads_channels_over_positions() -> None:
    model = SNeRV(SNeRVConfig(**SMALL | {"encoder_strides": (3, 4)}))
    assert model.stem.conv.out_channels == 4 * 6
    code = torch.randn(1, 4, 1, 2)
    wide = torch.nn.functional.gelu(model.stem.conv(code))
    x, outputs = torch.zeros(1, 6, 2, 4), []
    for c in range(6):
        for a in range(2):
            for b in range(2):
                x[:, c, a::2, b::2] = wide[:, 4 * c + 2 * a + b]
    for stage in model.stages:
        x = stage(x)
        outputs.append(x)
    expected = model.spectrum.bands(*outputs)
    torch.testing.assert_close(model.decode(code), expected)


def test_random_numbers_fall_in_the_official_order() -> None:
    torch.manual_seed(5)
    model = SNeRV(SNeRVConfig(**SMALL), encoder=True)
    torch.manual_seed(5)
    first = ConvNeXt([5, 4], (3, 2), 1)
    assert model.encoder is not None
    for name, value in first.state_dict().items():
        assert torch.equal(model.encoder.state_dict()[name], value)
    assert torch.equal(model.stem.conv.weight, torch.nn.Conv2d(4, 6, 1).weight)
    torch.nn.Conv2d(6, 5 * 9, 1)
    torch.nn.Conv2d(5, 4 * 4, 3)
    torch.nn.Conv2d(4, 4, 5)
    assert torch.equal(model.spectrum.restorer.lh.mix.weight, torch.nn.Conv2d(4, 4, 1).weight)


def test_keys_never_change() -> None:
    names = [name for name in SNeRV(SNeRVConfig(**SMALL)).stored_state() if not name.endswith("bias")]
    assert names == [
        "embedding",
        "norm",
        "stem.conv.weight",
        *(f"stages.{i}.conv.weight" for i in range(3)),
        *(f"spectrum.restorer.{band}.{part}.weight" for band in ("lh", "hl", "hh") for part in ("mix", "restore")),
        "spectrum.fusion.up_coarse.weight",
        *(f"spectrum.fusion.join_middle.{part}.weight" for part in ("enter", "blocks.0.conv1", "blocks.0.conv2")),
        "spectrum.fusion.up_middle.weight",
        *(f"spectrum.fusion.join_fine.{part}.weight" for part in ("enter", "blocks.0.conv1", "blocks.0.conv2")),
        "spectrum.head.weight",
    ]


def test_official_names_with_norms_and_any_number_of_stages() -> None:
    official = {
        "decoder.0.conv.downconv.bias": "stem.conv.bias",
        "decoder.0.norm.running_mean": "stem.norm.running_mean",
        "decoder.3.conv.upconv.0.weight": "stages.2.conv.weight",
        "decoder.3.norm.weight": "stages.2.norm.weight",
        "decoder.4.conv1.weight": "spectrum.restorer.lh.mix.weight",
        "decoder.5.conv2.bias": "spectrum.restorer.hl.restore.bias",
        "decoder.6.conv1.bias": "spectrum.restorer.hh.mix.bias",
        "decoder.7.weight": "spectrum.fusion.up_coarse.weight",
        "decoder.8.main.0.weight": "spectrum.fusion.join_middle.enter.weight",
        "decoder.9.bias": "spectrum.fusion.up_middle.bias",
        "decoder.10.main.1.11.conv2.weight": "spectrum.fusion.join_fine.blocks.11.conv2.weight",
        "head_layer.weight": "spectrum.head.weight",
        "encoder.0.stages.1.0.gamma": "encoder.stages.1.0.scale",
    }
    assert rename_upstream_keys(official) == {ours: ours for ours in official.values()}
    with pytest.raises(CheckpointError, match=r"'decoder.11.weight' that the official network does not have"):
        rename_upstream_keys(official | {"decoder.11.weight": ""})


def test_without_its_encoder_it_cannot_be_trained() -> None:
    with pytest.raises(UsageError, match="encoder=True"):
        SNeRV(SNeRVConfig(**SMALL)).training_pairs(torch.tensor([0]), torch.zeros(1, 3, 24, 48))


@torch.no_grad()
def test_batch_norm_in_stem_and_stages() -> None:
    model, _ = fitted(norm="bn")
    names = model.stored_state()
    assert {"stem.norm.running_var", "stages.2.norm.weight"} <= names.keys()
    assert not [name for name in names if "num_batches" in name]


@pytest.mark.parametrize(
    ("name", "decoder", "total", "gmac"),
    [
        ("3m-480x960", None, 3.01, None),
        ("3m-640x1280", 2.99, 3.01, 90.48),
        ("3m-960x1920", None, 3.02, 167.88),
        ("0.75m-640x1280", 0.75, 0.76, None),
        ("4.5m-640x1280", 4.55, 4.57, None),
        ("6m-640x1280", 5.93, 5.95, None),
        ("2.75m-960x1920", 2.67, 2.75, None),
        ("4.3m-960x1920", 4.24, 4.32, None),
        ("6.7m-960x1920", 6.64, 6.71, None),
    ],
)
def test_the_papers_figures(name: str, decoder: float | None, total: float, gmac: float | None) -> None:
    """As the paper counts: millions without the head, and the multiplications of encoder and decoder together."""
    preset = PRESETS[name]
    assert preset.size is not None
    config = preset.configure(*preset.size, FRAMES[preset.size])
    assert isinstance(config, SNeRVConfig)
    cost = measure_cost("snerv", config)
    head = 3 * (9 * config.stages[-1].channels_out + 1)
    assert (cost.parameters - head) / 1e6 == pytest.approx(total, abs=0.0051)
    if decoder is not None:
        assert (cost.parameters - cost.embedding_values - head) / 1e6 == pytest.approx(decoder, abs=0.0051)
    if gmac is not None:
        assert cost.gflops / 2 + ENCODER_GMAC[preset.size] == pytest.approx(gmac, abs=0.0051)
    assert preset.expected["parameters"] == cost.parameters
    assert preset.expected["gflops"] == pytest.approx(cost.gflops, abs=6e-4)


@pytest.mark.parametrize(("name", "parameters"), [("0.35m-640x1280", 370_592), ("1.5m-640x1280", 1_585_349)])
def test_figures_that_do_not_come_out_are_said_so(name: str, parameters: int) -> None:
    preset = PRESETS[name]
    assert measure_cost("snerv", preset.configure(1280, 640, 132)).parameters == parameters
    assert "not reproduced" in preset.paper
    assert preset.expected["parameters"] != parameters


@pytest.mark.parametrize("size", list(ENCODER_GMAC))
def test_arithmetic_of_the_encoder(size: tuple[int, int]) -> None:
    """7x7 depth-wise and two linear layers of 4C per block; a convolution with kernel = stride between."""
    preset = next(preset for preset in PRESETS.values() if preset.size == size)
    config = preset.configure(*size, 2)
    assert isinstance(config, SNeRVConfig)
    (rows, columns), before, macs = config.low_size, 3, 0
    for i, stride in enumerate(config.encoder_strides):
        width = 64 if i < len(config.encoder_strides) - 1 else 16
        rows, columns = rows // stride, columns // stride
        macs += rows * columns * (before * width * stride**2 + 49 * width + 8 * width**2)
        before = width
    assert macs / 1e9 == pytest.approx(ENCODER_GMAC[size], abs=1e-9)


@pytest.mark.parametrize(("size", "parameters"), [((320, 192), 300_000), ((1280, 720), 1_500_000)])
def test_a_size_is_met(size: tuple[int, int], parameters: int) -> None:
    cost = measure_cost("snerv", config_for_size(*size, 132, parameters))
    assert cost.parameters == pytest.approx(parameters, rel=0.1)
    assert cost.embedding_values <= 0.21 * parameters


def test_a_size_that_cannot_be_met_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no snerv of 132 frames of 1280x720 has about 1000 .*the nearest has \d+"):
        config_for_size(1280, 720, 132, 1000)


def test_presets_ask_for_their_size_or_name_one_that_fits() -> None:
    with pytest.raises(GeometryError, match="snerv-3m-640x1280 is made for 1280x640"):
        PRESETS["3m-640x1280"].configure(1280, 720, 132)
    for name in ("tiny", "small", "medium"):
        with pytest.raises(GeometryError, match="--crop"):
            get_architecture("snerv").presets[name].configure(854, 480, 10)
