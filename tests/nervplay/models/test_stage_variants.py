"""Stages that are not dense, in every architecture that has them: configured, fitted, written, read, decoded."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nervplay.bitstream import write_nerv
from nervplay.blocks.binary import BinaryConv2d
from nervplay.blocks.conv_kinds import StageConv
from nervplay.blocks.ghost import GhostConv2d
from nervplay.blocks.low_rank import LowRankConv2d
from nervplay.codec import Precision, open_nerv, pack
from nervplay.errors import GeometryError, UsageError
from nervplay.models import Preset, preset_names, resolve_preset
from nervplay.models.cost import measure_cost
from nervplay.models.stage_variants import STAGE_SETS, stage_variants, variant
from nervplay.training import Progress, Recipe, build_for_training, fit
from nervplay.video.source import ArraySource

KINDS: dict[str, dict[str, Any]] = {
    "low-rank": {"kind": "low-rank", "rho": 0.25},
    "ghost": {"kind": "ghost"},
    "ghost-v2": {"kind": "ghost-v2"},
    "binary": {"kind": "binary"},
}
ARCHITECTURES = ("nerv", "e-nerv", "ffnerv", "hnerv", "hnerv-boost", "snerv", "snerv-t", "dnerv", "pnerv")
IN_FIRST_STAGE = dict.fromkeys(ARCHITECTURES, 1) | {"e-nerv": 2, "snerv-t": 2}
"""Convolutions that the first stage of a tiny network has, transposed ones aside."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Layers this small run slower on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def configure(architecture: str, kind: str, *stages: int, **change: Any) -> Any:
    """The tiny network of an architecture on six frames of 64x48, with other convolutions in `stages`."""
    config: Any = resolve_preset(f"{architecture}-tiny")[1].configure(64, 48, 6)
    return replace(config, convolutions=tuple(StageConv(stage=stage, **KINDS[kind]) for stage in stages), **change)


def build(architecture: str, config: Any) -> Any:
    """The network of a configuration, without its encoder."""
    return resolve_preset(f"{architecture}-tiny")[0].model(config)


def chosen(model: Any) -> list[str]:
    """Where convolutions are that are not dense, by name."""
    kinds = (LowRankConv2d, GhostConv2d, BinaryConv2d)
    return [name for name, layer in model.named_modules() if isinstance(layer, kinds)]


def moving_clip() -> ArraySource:
    """Six frames of 64x48: smooth colours that move to the right."""
    y, x = np.mgrid[0:48, 0:64]
    frames = [np.stack([2 * x + 8 * i, 4 * y, 128 + x - y], axis=-1) for i in range(6)]
    return ArraySource(np.clip(np.stack(frames), 0, 255).astype(np.uint8))


def every_pair() -> list[Any]:
    """Return every architecture with every kind, all but one kind of each being slow."""
    kinds = list(KINDS)
    quick = {(name, kinds[i % len(kinds)]) for i, name in enumerate(ARCHITECTURES)}
    return [pytest.param(*it, marks=() if it in quick else pytest.mark.slow) for it in product(ARCHITECTURES, kinds)]


@pytest.mark.parametrize(("architecture", "kind"), every_pair())
def test_fitted_written_and_decoded(architecture: str, kind: str, tmp_path: Path) -> None:
    clip = moving_clip()
    recipe = Recipe(epochs=10, batch_size=2, learning_rate=5e-3)
    model = build_for_training(architecture, configure(architecture, kind, 0, 1), recipe)
    before = {name: value.clone() for name, value in model.named_parameters()}
    reports: list[Progress] = []
    result = fit(model, clip, recipe, device="cpu", progress=reports.append)
    assert result.loss < 0.85 * reports[0].loss
    for name, value in model.named_parameters():
        if ".kfc.bias_" not in name:  # see the head of `pnerv.py`
            assert not torch.equal(value, before[name]), f"{name} was not trained"
    index = torch.arange(6)
    for precision in (Precision(), Precision(bits=32, embed_bits=32)):
        write_nerv(tmp_path / "clip.nerv", pack(model, clip.spec, precision=precision), overwrite=True)
        opened = open_nerv(tmp_path / "clip.nerv").model
        assert opened.config == model.config
        with torch.no_grad():
            difference = (opened(index) - model(index)).abs().max().item()
        assert difference == 0 if precision.bits == 32 else difference < 0.3


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_any_subset_of_stages(architecture: str, kind: str) -> None:
    assert chosen(build(architecture, configure(architecture, kind))) == []
    for stage in (0, 1):
        mixed = build(architecture, configure(architecture, kind, stage))
        names = chosen(mixed)
        assert all(name.startswith(f"stages.{stage}.") for name in names)
        assert len(names) == (IN_FIRST_STAGE[architecture] if stage == 0 or architecture == "snerv-t" else 1)
        assert mixed(torch.tensor([5, 0])).shape == (2, 3, 48, 64)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_costs_are_those_of_the_chosen_convolutions(architecture: str) -> None:
    dense = measure_cost(architecture, configure(architecture, "binary"))
    assert measure_cost(architecture, configure(architecture, "binary", 0, 1))[:3] == dense[:3]
    for kind in ("low-rank", "ghost"):
        config = configure(architecture, kind, 0, 1)
        cost, model = measure_cost(architecture, config), build(architecture, config)
        assert cost.parameters == sum(value.numel() for value in model.stored_state().values())
        assert cost.gflops < dense.gflops
        # Narrow stages make little of it: six channels of rank two, or half of them with a bias more.
        assert cost.parameters < dense.parameters


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_binary_convolutions_have_the_keys_and_the_first_weights_of_dense_ones(architecture: str) -> None:
    torch.manual_seed(0)
    dense = build(architecture, configure(architecture, "binary")).state_dict()
    torch.manual_seed(0)
    binary = build(architecture, configure(architecture, "binary", 0, 1)).state_dict()
    assert list(dense) == list(binary)
    assert all(torch.equal(dense[name], binary[name]) for name in dense)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_config_is_plain_strict_and_old_ones_are_dense(architecture: str) -> None:
    config = configure(architecture, "low-rank", 0, 1)
    plain = json.loads(json.dumps(config.to_config()))
    assert plain["convolutions"][1] == {"stage": 1, "kind": "low-rank", "rho": 0.25}
    assert type(config).from_config(plain) == config
    old = {key: value for key, value in plain.items() if key != "convolutions"}
    assert type(config).from_config(old) == configure(architecture, "low-rank")
    stages = len(config.strides)
    for wrong, message in (
        ([{"stage": 0}], "StageConv needs the field 'kind'"),
        ([{"stage": 0, "kind": "gost"}], "StageConv.kind is 'gost'; it must be one of low-rank, ghost"),
        ([{"stage": 0, "kind": "ghost", "ratio": 2}], "unknown StageConv field 'ratio'"),
        ([{"stage": True, "kind": "ghost"}], "StageConv.stage is True"),
        ([{"stage": 0, "kind": "low-rank"}], "rho of stage 0 is None"),
        (
            [{"stage": stages, "kind": "ghost"}],
            f"name stage {stages}; the stages of this network are 0 to {stages - 1}",
        ),
        ([[0, "ghost"]], r"convolutions is \[0, 'ghost'\]; it must be StageConv"),
    ):
        with pytest.raises(UsageError, match=message):
            type(config).from_config(plain | {"convolutions": wrong})


@pytest.mark.parametrize(
    ("architecture", "change"),
    [(name, {"upsampling": "deconv"}) for name in ("nerv", "e-nerv", "dnerv")]
    + [(name, {"upsampling": "conv", "kernel_min": 2, "kernel_max": 2}) for name in ("hnerv", "hnerv-boost")],
)
def test_transposed_convolutions_are_refused(architecture: str, change: dict[str, Any]) -> None:
    assert chosen(build(architecture, configure(architecture, "ghost", **change))) == []
    with pytest.raises(UsageError, match="stage 0 is to be ghost, but transposed convolutions are dense only"):
        configure(architecture, "ghost", 0, **change)


def test_weights_that_ffnerv_rounds_are_refused() -> None:
    with pytest.raises(UsageError, match=r"stage 1 is to be ghost with weights of 8 bits.*take weight_bits 32"):
        configure("ffnerv", "ghost", 1, weight_bits=8)
    assert configure("ffnerv", "ghost", weight_bits=8).weight_bits == 8


@torch.no_grad()
def test_a_chosen_stage_is_not_compact() -> None:
    narrow = {"convolution": "compact", "channels": 4, "expansion": 2.0}
    with pytest.raises(UsageError, match="a compact stage of stride 2 cannot take 4 channels"):
        configure("ffnerv", "low-rank", **narrow)
    model = build("ffnerv", configure("ffnerv", "low-rank", 0, **narrow))
    assert "stages.0.conv.1.bias" in model.state_dict()
    assert "stages.1.conv.spatial.weight" in model.state_dict()
    assert model(torch.tensor([2])).shape == (1, 3, 48, 64)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_three_dimensional_convolutions_are_dense(kind: str) -> None:
    with pytest.raises(UsageError, match=f"stage 2 is to be {kind}, but 3-D convolutions are dense only; name stages"):
        configure("snerv-t", kind, 1, 2)
    model = build("snerv-t", configure("snerv-t", kind, 1, 2, mixing="2d"))
    assert chosen(model) == ["stages.1.widen", "stages.1.narrow", "stages.2.widen", "stages.2.narrow"]
    assert model(torch.tensor([2])).shape == (1, 3, 48, 64)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_stage_of_enerv_may_narrow(kind: str) -> None:
    model = build("e-nerv", configure("e-nerv", kind, 0, expansion=0.5, lower_width=4))
    assert chosen(model) == ["stages.0.conv.first", "stages.0.conv.second.conv"]
    assert model(torch.tensor([2])).shape == (1, 3, 48, 64)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("architecture", ["nerv", "e-nerv", "dnerv"])
def test_bilinear_stages_take_every_kind(architecture: str, kind: str) -> None:
    model = build(architecture, configure(architecture, kind, 0, 1, upsampling="bilinear"))
    assert model(torch.tensor([1])).shape == (1, 3, 48, 64)


def test_all_blocks_of_a_stage_are_alike() -> None:
    model = build("hnerv", configure("hnerv", "binary", 1, decoder_blocks=2, kernel_min=3))
    assert chosen(model) == ["stages.2.conv", "stages.3.conv"]
    model = build("hnerv-boost", configure("hnerv-boost", "binary", 1, 3, decoder_blocks=(3, 1, 1, 2)))
    assert chosen(model) == ["stages.3.block.conv", "stages.5.block.conv", "stages.6.block.conv"]


def test_presets() -> None:
    names = [f"nerv-{prefix}-{end}" for prefix in ("lrconv", "ghost", "ghost-v2", "binary") for end in STAGE_SETS]
    assert set(names) <= set(preset_names())
    for name in names:
        preset = resolve_preset(name)[1]
        assert preset.recipe == resolve_preset("nerv-s")[1].recipe
        with pytest.raises(GeometryError, match=f"preset {name} is made for 1280x720 frames.*--arch nerv"):
            preset.configure(64, 48, 6)
    for prefix in ("lrconv", "ghost", "ghost-v2", "binary"):
        config: Any = resolve_preset(f"nerv-{prefix}-tiny")[1].configure(64, 48, 6)
        count = len(config.strides)
        assert [choice.stage for choice in config.convolutions] == [count - 2, count - 1]


def test_the_base_stays_and_figures_go_with_their_stages() -> None:
    base, tiny = (resolve_preset(name)[1] for name in ("nerv-s", "nerv-tiny"))
    made = stage_variants(
        "nerv",
        "x",
        base,
        tiny,
        lambda stage: StageConv(stage=stage, kind="ghost"),
        title="X",
        paper="table",
        expected=[{"gflops": float(i)} for i in range(1, 6)],
    )
    assert list(made) == ["x-l4", "x-l3-4", "x-l2-4", "x-l1-4", "x-l0-4", "x-tiny"]
    for count, preset in enumerate(list(made.values())[:5], start=1):
        config: Any = preset.configure(1280, 720, 9)
        assert [choice.stage for choice in config.convolutions] == list(range(5 - count, 5))
        assert (preset.expected, preset.paper, preset.size) == ({"gflops": count}, "table", (1280, 720))
    plain: Any = base.configure(1280, 720, 9)
    assert plain.convolutions == ()


def test_fewer_stages_than_asked_for_are_all() -> None:
    tiny: Preset = resolve_preset("nerv-tiny")[1]
    config: Any = variant(
        "nerv-x", tiny, lambda stage: StageConv(stage=stage, kind="binary"), 99, summary="all"
    ).configure(64, 48, 6)
    assert len(config.convolutions) == len(config.strides)
