"""Stages that are not dense, in every architecture that has them: configured, fitted, written, read, decoded."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nervplay.bitstream import write_nerv
from nervplay.blocks.conv_kinds import StageConv
from nervplay.codec import Precision, open_nerv, pack
from nervplay.errors import GeometryError, UsageError
from nervplay.models import Preset, preset_names, resolve_preset
from nervplay.models.stage_variants import STAGE_SETS, stage_variants, variant
from nervplay.training import Progress, Recipe, build_for_training, fit
from nervplay.video.source import ArraySource

KINDS: dict[str, dict[str, Any]] = {
    "low-rank": {"kind": "low-rank", "rho": 0.25},
    "ghost": {"kind": "ghost"},
    "ghost-v2": {"kind": "ghost-v2"},
    "binary": {"kind": "binary"},
}
ARCHITECTURES = ("nerv", "hnerv")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Layers this small run slower on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def configure(architecture: str, kind: str, *stages: int) -> Any:
    """The tiny network of an architecture on six frames of 64x48, with other convolutions in `stages`."""
    config: Any = resolve_preset(f"{architecture}-tiny")[1].configure(64, 48, 6)
    return replace(config, convolutions=tuple(StageConv(stage=stage, **KINDS[kind]) for stage in stages))


def moving_clip() -> ArraySource:
    """Six frames of 64x48: smooth colours that move to the right."""
    y, x = np.mgrid[0:48, 0:64]
    frames = [np.stack([2 * x + 8 * i, 4 * y, 128 + x - y], axis=-1) for i in range(6)]
    return ArraySource(np.clip(np.stack(frames), 0, 255).astype(np.uint8))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_fitted_written_and_decoded(architecture: str, kind: str, tmp_path: Path) -> None:
    clip = moving_clip()
    recipe = Recipe(epochs=25, batch_size=2, learning_rate=5e-3)
    model = build_for_training(architecture, configure(architecture, kind, 0, 1), recipe)
    before = {name: value.clone() for name, value in model.named_parameters()}
    reports: list[Progress] = []
    result = fit(model, clip, recipe, device="cpu", progress=reports.append)
    assert result.loss < 0.6 * reports[0].loss
    for name, value in model.named_parameters():
        assert not torch.equal(value, before[name]), f"{name} was not trained"
    index = torch.arange(6)
    for precision in (Precision(), Precision(bits=32, embed_bits=32)):
        write_nerv(tmp_path / "clip.nerv", pack(model, clip.spec, precision=precision), overwrite=True)
        opened = open_nerv(tmp_path / "clip.nerv").model
        assert opened.config == model.config
        with torch.no_grad():
            difference = (opened(index) - model(index)).abs().max().item()
        assert difference == 0 if precision.bits == 32 else difference < 0.3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_any_subset_of_stages(architecture: str, kind: str) -> None:
    entry, _ = resolve_preset(f"{architecture}-tiny")
    dense = entry.model(configure(architecture, kind))
    mixed = entry.model(configure(architecture, kind, 1))
    kinds = [type(stage.conv).__name__ for stage in mixed.stages]
    assert kinds[0] == type(dense.stages[0].conv).__name__ == "Conv2d"
    assert kinds[1] != "Conv2d"
    assert mixed(torch.tensor([5, 0])).shape == (2, 3, 48, 64)


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


def test_transposed_convolutions_are_refused() -> None:
    with pytest.raises(UsageError, match="transposed convolutions are dense only"):
        replace(configure("nerv", "ghost", 0), upsampling="deconv")
    with pytest.raises(UsageError, match="transposed convolutions are dense only"):
        replace(configure("hnerv", "ghost", 0), upsampling="conv", kernel_min=2, kernel_max=2)


@pytest.mark.parametrize("kind", KINDS)
def test_bilinear_stages_take_every_kind(kind: str) -> None:
    config = replace(configure("nerv", kind, 0, 1), upsampling="bilinear")
    assert resolve_preset("nerv-tiny")[0].model(config)(torch.tensor([1])).shape == (1, 3, 48, 64)


def test_all_blocks_of_a_stage_are_alike() -> None:
    config = replace(configure("hnerv", "binary", 1), decoder_blocks=2, kernel_min=3)
    model = resolve_preset("hnerv-tiny")[0].model(config)
    binary = [type(block.conv).__name__ == "BinaryConv2d" for block in model.stages]
    assert binary == [i in (2, 3) for i in range(2 * len(config.strides))]


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
