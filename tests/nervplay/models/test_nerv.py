import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nervplay.codec.official_arguments import nerv_config, parse_nerv
from nervplay.errors import GeometryError, UsageError
from nervplay.models import TrainingPair
from nervplay.models.cost import measure_cost
from nervplay.models.nerv import PRESETS, NeRV, NeRVConfig, config_for_size, rename_upstream_keys

SMALL = {"width": 24, "height": 12, "frame_count": 3, "grid": (2, 4), "channels": 6, "strides": (3, 2)}
SMALL |= {"lower_width": 4, "stem_width": 8, "encoding_levels": 4}


def official(folder: Path) -> tuple[NeRV, dict[str, np.ndarray]]:
    """The network of a golden folder, with its official weights, and the official inputs and outputs."""
    about = json.loads((folder / "config.json").read_text())
    model = NeRV(nerv_config(parse_nerv(about["arguments"]), about["frame_count"]))
    weights = {name: torch.from_numpy(value) for name, value in np.load(folder / "weights.npz").items()}
    model.load_stored_state(rename_upstream_keys(weights))
    assert sum(p.numel() for p in model.parameters()) == about["parameters"]
    return model.eval(), dict(np.load(folder / "io.npz"))


@torch.no_grad()
def test_parity_with_the_official_code(small_golden: Path) -> None:
    model, io = official(small_golden / "nerv_e")
    np.testing.assert_allclose(model.encoding[io["frame_index"]], io["pe"], atol=1e-6, rtol=0)
    out = model(torch.from_numpy(io["frame_index"][:2]))[:, :, ::2, ::2]
    np.testing.assert_allclose(out, io["out_stride2"], atol=1e-5, rtol=0)


def test_initial_weights_are_the_official_ones(small_golden: Path) -> None:
    about = json.loads((small_golden / "init_seed1.json").read_text())["nerv"]
    torch.manual_seed(1)
    state = NeRV(nerv_config(parse_nerv(about["arguments"]), 7)).stored_state()
    names = rename_upstream_keys({name: name for name in about["params"]})
    assert list(names) == list(state)
    for ours, theirs in names.items():
        expected = about["params"][theirs]
        assert list(state[ours].shape) == expected["shape"]
        np.testing.assert_allclose(state[ours].flatten()[:4], expected["first"], atol=1e-7, rtol=0)
        assert state[ours].double().abs().sum().item() == pytest.approx(expected["abssum"], rel=1e-5)


def test_the_papers_widths() -> None:
    config = PRESETS["s"].configure(1280, 720, 132)
    assert isinstance(config, NeRVConfig)
    assert config.widths == (26, 96, 96, 96, 96)
    narrowing = NeRVConfig(**SMALL | {"strides": (3, 1, 2, 1), "channels": 50, "expansion": 1.5, "lower_width": 20})
    assert narrowing.widths == (75, 75, 37, 37)


def test_keys_never_change() -> None:
    single = NeRV(NeRVConfig(**SMALL)).stored_state()
    assert list(single) == [
        f"{layer}.{part}"
        for layer in ("stem.0", "stem.1", "stages.0.conv", "stages.1.conv", "head")
        for part in ("weight", "bias")
    ]
    several = NeRV(NeRVConfig(**SMALL, single_resolution=False, norm="bn")).stored_state()
    assert {"side_heads.0.weight", "stages.1.norm.running_mean", "head.bias"} <= set(several)


def test_several_resolutions_are_trained_together() -> None:
    model = NeRV(NeRVConfig(**SMALL, single_resolution=False, side_weight=0.25))
    frames = torch.rand(2, 3, 12, 24)
    small, full = model.training_pairs(torch.tensor([0, 2]), frames)
    assert (small.weight, full.weight) == (0.25, 1.0)
    assert small.prediction.shape == (2, 3, 6, 12)
    torch.testing.assert_close(small.target[0, 1, 0, 0], frames[0, 1, :2, :2].mean())
    assert isinstance(full, TrainingPair)
    torch.testing.assert_close(full.prediction, model(torch.tensor([0, 2])))


def test_official_names_of_several_heads() -> None:
    names = [f"head_layers.{i}.weight" for i in range(3)]
    assert list(rename_upstream_keys({n: n for n in names})) == [
        "side_heads.0.weight",
        "side_heads.1.weight",
        "head.weight",
    ]
    assert list(rename_upstream_keys({"head_layers.2.bias": 0, "stem.4.bias": 0})) == ["head.bias", "stem.2.bias"]


@torch.no_grad()
@pytest.mark.parametrize("upsampling", ["conv", "deconv", "bilinear"])
@pytest.mark.parametrize("levels", [0, 4])
def test_every_way_up_fills_the_frame(upsampling: str, levels: int) -> None:
    config = NeRVConfig(**SMALL | {"encoding_levels": levels}, upsampling=upsampling, norm="in", output="sigmoid")
    model = NeRV(config)
    assert model.encoding.shape == (3, 2 * levels or 1)
    assert model(torch.tensor([1])).shape == (1, 3, 12, 24)


def test_without_an_encoding_the_time_itself_goes_in() -> None:
    model = NeRV(NeRVConfig(**SMALL | {"encoding_levels": 0}))
    torch.testing.assert_close(model.encoding[:, 0], torch.tensor([0.0, 1 / 3, 2 / 3]))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"strides": (2, 2)}, GeometryError, "gives 16x8, the frame is 24x12"),
        ({"strides": ()}, GeometryError, "gives 4x2"),
        ({"grid": (2, 3)}, GeometryError, "gives 18x12"),
        ({"channels": 0}, UsageError, "channels is 0"),
        ({"expansion": 0.01}, UsageError, r"stages of \(0,"),
        ({"encoding_levels": 201}, UsageError, "encoding_levels"),
        ({"encoding_base": 30.0}, UsageError, "float32"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        NeRVConfig(**SMALL | change)


@pytest.mark.parametrize("size", [(320, 180), (1280, 720)])
@pytest.mark.parametrize("parameters", [300_000, 3_200_000])
def test_a_size_is_met(size: tuple[int, int], parameters: int) -> None:
    config = config_for_size(*size, 132, parameters)
    assert measure_cost("nerv", config).parameters == pytest.approx(parameters, rel=0.1)
    assert (config.width, config.height, config.frame_count) == (*size, 132)


def test_a_size_that_cannot_be_met_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no nerv of 132 frames of 1280x720 has about 10 .*the nearest has \d+"):
        config_for_size(1280, 720, 132, 10)


def test_a_papers_preset_keeps_to_its_size() -> None:
    with pytest.raises(GeometryError, match="--crop 1280x720, or name a size with --arch nerv --size"):
        PRESETS["s"].configure(1920, 1080, 10)
