"""DNeRV: the official code by numbers, the CCU, what its configuration takes and refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nervplay.errors import GeometryError, UsageError
from nervplay.models.cost import count_parameters, measure_cost
from nervplay.models.dnerv import (
    PRESETS,
    CollaborativeContentUnit,
    DNeRV,
    DNeRVConfig,
    config_for_size,
    rename_upstream_keys,
)

SMALL: dict[str, Any] = {
    "width": 24,
    "height": 12,
    "frame_count": 3,
    "strides": (3, 2),
    "kernels": (1, 3),
    "encoder_strides": (3, 2),
    "difference_strides": (3,),
    "difference_stride": 3,
    "fusion": 2,
    "channels": 8,
    "embedding_channels": 4,
    "encoder_width": 5,
}


@pytest.fixture(scope="module")
def official(golden: Path) -> tuple[DNeRV, Any, dict[str, Any]]:
    """The golden network, its tensors and what is known about it."""
    folder = golden / "dnerv_tiny"
    about, io = json.loads((folder / "config.json").read_text()), np.load(folder / "io.npz")
    config = DNeRVConfig(
        width=320,
        height=160,
        frame_count=4,
        strides=(5, 2, 2, 2, 1),
        encoder_strides=(5, 2, 2, 2),
        difference_strides=(2, 2, 2),
        channels=24,
        embedding_channels=8,
        encoder_width=16,
    )
    model = DNeRV(config, encoder=True).eval()
    state = rename_upstream_keys(torch.load(folder / "checkpoint.pth", weights_only=True)["model"])
    own = model.state_dict()
    left = {name: value for name, value in state.items() if name not in own}
    assert all(".block_norm." in name or name.endswith(".scale") for name in left), "only what is not used"
    assert own.keys() - state.keys() == set(model.embedding_names)
    model.load_state_dict({name: value for name, value in state.items() if name in own}, strict=False)
    return model, io, about


@torch.no_grad()
def test_parity_with_the_official_code(official: tuple[DNeRV, Any, dict[str, Any]]) -> None:
    model, io, about = official
    names = {"diff_exc_layer": "difference_stem", "diff_dec_layers.0": "difference_stage", "dec_head_layers.4": "head"}
    names |= {f"decoder_layers.{i}": f"stages.{i}" for i in range(5)}
    names |= {f"dec_{k}_{s[0]}": f"ccu.{s}_{k}" for k in "ps" for s in ("content", "difference")}
    frames = (torch.from_numpy(io["frames_u8"]) / 255.0)[model.source_index(torch.arange(4))]
    model.store_embeddings(torch.arange(4), frames)
    np.testing.assert_allclose(model.content_embedding, io["content_embedding"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(model.difference_embedding, io["diff_embedding"], atol=1e-5, rtol=0)
    seen: dict[str, Tensor] = {}
    hooks = [
        model.get_submodule(ours).register_forward_hook(lambda _m, _i, out, key=key: seen.update({key: out}))
        for key, ours in names.items()
    ]
    model(torch.tensor([1]))
    for hook in hooks:
        hook.remove()
    for key in names:
        expected = about["stages_eval_frame1"][key]
        assert list(seen[key].shape) == expected["shape"], key
        assert seen[key].mean().item() == pytest.approx(expected["mean"], abs=1e-5), f"mean behind {key}"
        assert seen[key].std(correction=0).item() == pytest.approx(expected["std"], abs=1e-5), f"deviation behind {key}"
    np.testing.assert_allclose(model(torch.arange(4)), io["out_trainmode"], atol=1e-5, rtol=0)


def test_the_official_counts(official: tuple[DNeRV, Any, dict[str, Any]]) -> None:
    model, _, about = official
    unused = sum(int(np.prod(about["state_dict"][name][0])) for name in about["unused_parameters"])
    assert sum(p.numel() for p in model.parameters()) == about["params"]["total"] - unused
    stem = 8 * 24 + 24 + 2 * 16 + 16  # the official "decoder" print counts names with "dec", these have none
    embeddings = 4 * (8 * 4 * 8 + 2 * 20 * 40)
    assert count_parameters(model) == about["params"]["dec_in_name"] + stem + embeddings


def test_the_published_figures() -> None:
    preset = PRESETS["960x1920"]
    config = preset.configure(1920, 960, 132)
    assert isinstance(config, DNeRVConfig)
    assert [stage.channels_in for stage in config.stages] + [config.stages[-1].channels_out] == [92, 76, 63, 52, 43, 35]
    assert (config.content_shape, config.difference_shape) == ((16, 2, 4), (2, 40, 80))
    cost = measure_cost("dnerv", config)
    assert cost.parameters - cost.embedding_values == 3_405_368
    assert cost.embedding_values == 132 * 6528
    assert preset.expected["parameters"] == cost.parameters
    assert preset.expected["gflops"] == pytest.approx(cost.gflops, abs=6e-3)
    with torch.device("meta"):
        whole = DNeRV(config, encoder=True)
    unused = 8 * 3 * 64  # norm and scale of the encoder blocks, which the official code owns and does not use
    assert sum(p.numel() for p in whole.parameters()) == 3_948_426 - unused
    with pytest.raises(GeometryError, match="--scale 1920x960"):
        preset.configure(1280, 720, 132)


@torch.no_grad()
def test_the_unit_mixes_by_its_gate() -> None:
    torch.manual_seed(0)
    unit = CollaborativeContentUnit(3)
    for parameter in unit.parameters():
        nn.init.normal_(parameter, std=0.3)
    x, y = torch.randn(2, 1, 3, 4, 5)

    def conv(name: str, z: Tensor) -> Tensor:
        layer = unit.get_submodule(name)
        return F.conv2d(z, layer.weight, layer.bias, padding=1)

    p = torch.tanh(conv("content_p", x) + conv("difference_p", y))
    s = 1 / (1 + torch.exp(-conv("content_s", x) - conv("difference_s", y)))
    torch.testing.assert_close(unit(x, y), x + s * (p - x))


def test_random_numbers_are_drawn_in_the_official_order() -> None:
    torch.manual_seed(5)
    model = DNeRV(DNeRVConfig(**SMALL), encoder=True)
    torch.manual_seed(5)
    drawn: dict[str, nn.Module] = {}

    def stage(name: str, channels: int, stride: int) -> None:
        drawn[f"{name}.conv"] = nn.Conv2d(channels, 5, stride, stride)
        drawn[f"{name}.depthwise"] = nn.Conv2d(5, 5, 7, groups=5)
        drawn[f"{name}.expand"] = nn.Conv2d(5, 20, 1)
        drawn[f"{name}.project"] = nn.Conv2d(20, 5, 1)

    for k, stride in enumerate((3, 2)):
        stage(f"encoder.content.stages.{k}", 5 if k else 3, stride)
        drawn["encoder.content.projection"] = nn.Conv2d(5, 4, 1)
        if k == 0:
            stage("encoder.difference.stages.0", 6, 3)
        drawn["encoder.difference.projection"] = nn.Conv2d(5, 2, 1)
    drawn["stem"] = nn.Conv2d(4, 8, 1)
    drawn["stages.0.conv"] = nn.Conv2d(8, 6 * 9, 1)
    drawn["stages.1.conv"] = nn.Conv2d(6, 5 * 4, 3)
    drawn["head"] = nn.Conv2d(5, 3, 3)
    drawn["difference_stem"] = nn.Conv2d(2, 6, 1)
    drawn["difference_stage.conv"] = nn.Conv2d(6, 5 * 9, 3)
    for name in ("content_p", "difference_p", "content_s", "difference_s"):
        drawn[f"ccu.{name}"] = nn.Conv2d(5, 5, 3)
    for name, layer in drawn.items():
        own = model.get_submodule(name)
        assert torch.equal(own.weight, layer.weight), name
        assert torch.equal(own.bias, layer.bias), name


def test_keys_never_change() -> None:
    layers = ["stem", "stages.0.conv", "stages.1.conv", "head", "difference_stem", "difference_stage.conv"]
    layers += ["ccu.content_p", "ccu.difference_p", "ccu.content_s", "ccu.difference_s"]
    names = [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]
    assert list(DNeRV(DNeRVConfig(**SMALL)).stored_state()) == ["content_embedding", "difference_embedding", *names]


def test_official_names() -> None:
    names = {
        "enc_c2_layer.weight": "stem.weight",
        "decoder_layers.3.conv.conv.bias": "stages.3.conv.bias",
        "decoder_layers.3.conv.up_scale.weight": "stages.3.conv.weight",
        "dec_head_layers.4.bias": "head.bias",
        "diff_exc_layer.bias": "difference_stem.bias",
        "diff_dec_layers.0.conv.conv.weight": "difference_stage.conv.weight",
        "dec_p_c.weight": "ccu.content_p.weight",
        "dec_s_d.bias": "ccu.difference_s.bias",
        "encoder_layers.4.weight": "encoder.content.stages.1.norm.weight",
        "enc_embedding_layer.bias": "encoder.content.projection.bias",
        "diff_enc_layers.8.pwconv1.bias": "encoder.difference.stages.2.expand.bias",
        "diff_enc_ebd_layer.weight": "encoder.difference.projection.weight",
    }
    assert rename_upstream_keys(names) == {ours: ours for ours in names.values()}


@torch.no_grad()
@pytest.mark.parametrize("upsampling", ["conv", "deconv", "bilinear"])
@pytest.mark.parametrize(("fusion", "difference_strides"), [(1, (3, 2)), (2, (3,))])
def test_streams_meet_behind_any_stage(upsampling: str, fusion: int, difference_strides: tuple[int, ...]) -> None:
    change = {"upsampling": upsampling, "fusion": fusion, "difference_strides": difference_strides}
    model = DNeRV(DNeRVConfig(**SMALL | change), encoder=True).eval()
    frames = torch.rand(3, 3, 12, 24)[model.source_index(torch.arange(3))]
    model.store_embeddings(torch.arange(3), frames)
    out = model(torch.arange(3))
    assert out.shape == (3, 3, 12, 24)
    torch.testing.assert_close(out, model.training_pairs(torch.arange(3), frames)[0].prediction, atol=1e-5, rtol=0)
    seen: list[Tensor] = []
    model.ccu.register_forward_pre_hook(lambda _m, maps: seen.extend(maps))
    model(torch.tensor([0]))
    assert seen[0].shape == seen[1].shape == (1, (6, 5)[fusion - 1], 6 * fusion, 12 * fusion)


def test_without_its_encoder_it_cannot_be_trained() -> None:
    with pytest.raises(UsageError, match="encoder=True"):
        DNeRV(DNeRVConfig(**SMALL)).training_pairs(torch.tensor([0]), torch.zeros(1, 3, 3, 12, 24))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"width": 25}, GeometryError, r"width 25 is not a multiple of 6.*encoder_strides \(3, 2\); crop"),
        ({"difference_strides": (5,)}, GeometryError, r"height 12 is not a multiple of 5.*difference_strides \(5,\)"),
        ({"strides": (3, 3)}, GeometryError, "enlarge 9 times.*shrink 6 times"),
        ({"difference_stride": 2}, GeometryError, "do not meet the decoder behind stage 2; their quotient must be 1"),
        ({"fusion": 1}, GeometryError, "behind stage 1; their quotient must be 2"),
        ({"fusion": 3}, UsageError, "fusion is 3; it must name one of the stages 1 to 2"),
        ({"kernels": (1,)}, UsageError, r"kernels \(1,\) must be as many as strides"),
        ({"kernels": (1, 4)}, UsageError, "a kernel is 4; it must be odd"),
        ({"difference_kernel": 2}, UsageError, "a kernel is 2"),
        ({"strides": (), "kernels": ()}, GeometryError, "1 to 16 stages"),
        ({"difference_strides": ()}, GeometryError, "there must be 1 to 2"),
        ({"difference_strides": (3, 1, 1)}, GeometryError, "there must be 1 to 2"),
        ({"channels": 1}, UsageError, "channels 1 leave none behind 2 stages"),
        ({"channels": 0}, UsageError, "channels is 0; it must lie in 1"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        DNeRVConfig(**SMALL | change)


@pytest.mark.parametrize("size", [(320, 180), (1280, 720)])
@pytest.mark.parametrize("parameters", [300_000, 3_000_000])
def test_a_size_is_met(size: tuple[int, int], parameters: int) -> None:
    cost = measure_cost("dnerv", config_for_size(*size, 132, parameters))
    assert cost.parameters == pytest.approx(parameters, rel=0.1)
    assert cost.embedding_values <= 0.2 * parameters


def test_difference_maps_are_finer_where_there_is_room() -> None:
    fine, coarse = (config_for_size(320, 180, frames, 3_000_000) for frames in (10, 1000))
    assert (fine.fusion, fine.difference_strides) == (3, (2,))
    assert (coarse.fusion, coarse.difference_strides) == (1, (5, 2, 2))


def test_a_size_that_cannot_be_met_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no dnerv of 132 frames of 1280x720 has about 1000 .*the nearest has \d+"):
        config_for_size(1280, 720, 132, 1000)


def test_presets_for_any_size_name_a_size_that_fits() -> None:
    with pytest.raises(GeometryError, match="--crop 840x480"):
        PRESETS["tiny"].configure(854, 480, 10)
