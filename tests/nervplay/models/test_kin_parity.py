"""SNeRV-B, SNeRV-T and HNeRV-Boost against outputs of their official code, stage by stage."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nervplay.errors import CheckpointError
from nervplay.models import hnerv_boost, snerv, snerv_t
from nervplay.models.base import VideoModel
from nervplay.models.hnerv_boost import HNeRVBoost, HNeRVBoostConfig
from nervplay.models.snerv import SNeRV, SNeRVConfig
from nervplay.models.snerv_t import SNeRVT, SNeRVTConfig

Rename = Callable[[Mapping[str, Any]], dict[str, Any]]
FIVE = (5, 2, 2, 2, 2)


def load(folder: Path, model: VideoModel, rename: Rename, codes: dict[str, str]) -> dict[str, Any]:
    """Fill a network from a golden folder and return the folder's arrays."""
    io = dict(np.load(folder / "io.npz"))
    state = torch.load(folder / "checkpoint.pth", map_location="cpu", weights_only=True)["state_dict"]
    own = model.state_dict()
    stored = {ours: torch.from_numpy(io[theirs]).view(own[ours].shape) for ours, theirs in codes.items()}
    model.load_state_dict(rename(state) | stored)
    model.eval()
    return io


def observe(model: VideoModel) -> dict[str, Tensor]:
    """Return a dict that fills with the first output of every layer by name as the network runs."""
    seen: dict[str, Tensor] = {}
    names = {layer: name for name, layer in model.named_modules()}

    def keep(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.setdefault(names[layer], output.clone())

    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d) and not name.startswith("encoder."):
            layer.register_forward_hook(keep)
    return seen


def check_stages(folder: Path, model: VideoModel, rename: Rename, names: list[str], seen: dict[str, Tensor]) -> None:
    """Compare mean and standard deviation behind every layer of the decoder, in the official order, for one frame.

    Args:
        folder: with `stages.json`.
        model: run once on that frame.
        rename: from official names to ours.
        names: all official tensor names; the numbering of parts follows from them.
        seen: see `observe`.
    """
    table = dict(zip(names, rename({name: name for name in names}), strict=True))
    compared = 0
    for stage in json.loads((folder / "stages.json").read_text()):
        ours = table.get(f"{stage['module']}.weight", "").removesuffix(".weight")
        if ours not in seen or ours.startswith("encoder."):
            continue
        output = seen[ours]
        assert list(output.shape) == stage["shape"], f"{stage['module']} ({ours})"
        where = f"the first layer that differs is {stage['module']} ({ours})"
        assert output.mean().item() == pytest.approx(stage["mean"], abs=2e-5), where
        assert output.std().item() == pytest.approx(stage["std"], abs=2e-5), where
        compared += 1
    assert compared == len(seen), "every layer has its official figure"


def frames_of(io: dict[str, Any]) -> Tensor:
    return torch.from_numpy(io["input_u8"]).permute(0, 3, 1, 2) / 255.0


@torch.no_grad()
def test_snerv_b(golden: Path) -> None:
    folder, strides = golden / "snerv_b_tiny", (4, 3, 2, 2, 2)
    config = SNeRVConfig(
        width=384,
        height=192,
        frame_count=4,
        strides=strides,
        encoder_strides=strides,
        channels=24,
        embedding_channels=8,
        residual_blocks=2,
        encoder_width=32,
    )
    model = SNeRV(config, encoder=True)
    io = load(folder, model, snerv.rename_upstream_keys, {"embedding": "embed_all", "norm": "norm_all"})
    names = list(torch.load(folder / "checkpoint.pth", map_location="cpu", weights_only=True)["state_dict"])
    seen = observe(model)
    model(torch.tensor([0]))
    check_stages(folder, model, snerv.rename_upstream_keys, names, seen)
    bands = model.decode(model.embedding)
    np.testing.assert_allclose(bands.low[..., ::2, ::2], io["img_yl_sub"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(bands.high[..., ::2, ::2], io["yh_sub"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(model(torch.arange(4)), io["out"], atol=1e-5, rtol=0)
    model.embedding.zero_()
    model.norm.zero_()
    model.store_embeddings(torch.arange(4), frames_of(io))
    np.testing.assert_allclose(model.embedding, io["embed_all"], atol=2e-5, rtol=0)
    np.testing.assert_allclose(model.norm.flatten(), io["norm_all"], atol=1e-6, rtol=0)


@torch.no_grad()
def test_snerv_t(golden: Path) -> None:
    folder = golden / "snerv_t_tiny"
    config = SNeRVTConfig(
        width=320,
        height=160,
        frame_count=4,
        strides=FIVE,
        encoder_strides=FIVE,
        channels=20,
        embedding_channels=8,
        residual_blocks=2,
        encoder_width=32,
        lower_width=8,
        temporal_strides=(2, 2, 2, 2),
        temporal_up=(2,),
    )
    model = SNeRVT(config, encoder=True)
    codes = {"embedding": "embed_all", "temporal": "temp_all", "norm": "norm_all"}
    io = load(folder, model, snerv_t.rename_upstream_keys, codes)
    names = list(torch.load(folder / "checkpoint.pth", map_location="cpu", weights_only=True)["state_dict"])
    seen = observe(model)
    model(torch.tensor([1]))  # the frame that was watched
    check_stages(folder, model, snerv_t.rename_upstream_keys, names, seen)
    bands = model.decode(model.embedding, model.temporal)
    np.testing.assert_allclose(bands.low[..., ::2, ::2], io["img_yl_sub"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(bands.high[..., ::2, ::2], io["yh_sub"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(model(torch.arange(4)), io["out"], atol=1e-5, rtol=0)
    index = torch.arange(4)
    assert model.source_index(index)[:, 1:].tolist() == io["prev_next"].tolist()
    for name in codes:
        model.get_buffer(name).zero_()
    model.store_embeddings(index, frames_of(io)[model.source_index(index)])
    np.testing.assert_allclose(model.embedding, io["embed_all"], atol=2e-5, rtol=0)
    np.testing.assert_allclose(model.temporal, io["temp_all"], atol=2e-5, rtol=0)
    np.testing.assert_allclose(model.norm.flatten(), io["norm_all"], atol=1e-6, rtol=0)


@pytest.fixture
def boost(golden: Path) -> tuple[HNeRVBoost, dict[str, Any]]:
    config = HNeRVBoostConfig(
        width=320,
        height=240,
        frame_count=4,
        strides=FIVE,
        encoder_strides=FIVE,
        channels=19,
        decoder_blocks=(1, 1, 2, 2, 2),
        embedding_channels=8,
        encoder_width=32,
        time_channels=16,
    )
    model = HNeRVBoost(config, encoder=True)
    codes = {"embedding": "embed_all"}
    return model, load(golden / "hnerv_boost_a", model, hnerv_boost.rename_upstream_keys, codes)


@torch.no_grad()
def test_hnerv_boost(golden: Path, boost: tuple[HNeRVBoost, dict[str, Any]]) -> None:
    folder, (model, io) = golden / "hnerv_boost_a", boost
    model.time_code.copy_(torch.from_numpy(io["pe"]))  # one of its 80 frequencies is a unit in the last place off
    names = list(torch.load(folder / "checkpoint.pth", map_location="cpu", weights_only=True)["state_dict"])
    seen = observe(model)
    model(torch.tensor([0]))
    check_stages(folder, model, hnerv_boost.rename_upstream_keys, names, seen)
    np.testing.assert_allclose(model.time_stem(model.time_code)[:, :, 0, 0], io["t_embed"][:, :, 0, 0], atol=1e-5)
    np.testing.assert_allclose(model(torch.arange(4)), io["out"], atol=1e-5, rtol=0)
    model.embedding.zero_()
    model.store_embeddings(torch.arange(4), frames_of(io))
    np.testing.assert_allclose(model.embedding, io["embed_all"], atol=2e-5, rtol=0)


@torch.no_grad()
def test_time_code_of_hnerv_boost(boost: tuple[HNeRVBoost, dict[str, Any]]) -> None:
    """All frequencies but that of level 45, where the official float32 power is a unit in the last place off."""
    model, io = boost
    off = np.abs(model.time_code.numpy() - io["pe"]).max(axis=(0, 2, 3))
    assert np.flatnonzero(off > 1e-6).tolist() == [45, 80 + 45]
    np.testing.assert_allclose(model(torch.arange(4)), io["out"], atol=1e-3, rtol=0)


def test_names_of_another_code_are_refused() -> None:
    for module in (snerv, snerv_t, hnerv_boost):
        with pytest.raises(CheckpointError, match=r"'video_grid.0' that the official network does not have"):
            module.rename_upstream_keys({"video_grid.0": ""})
