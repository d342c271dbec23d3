"""Official DNeRV and PNeRV checkpoints, real ones and ones that do not fit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from nervplay.codec import official_pnerv
from nervplay.codec.official_child import convert
from nervplay.codec.official_pnerv import open_pnerv
from nervplay.errors import CheckpointError, GeometryError, MissingInputError, UnknownNameError, UsageError
from nervplay.models import VideoModel
from nervplay.models.dnerv import DNeRV
from nervplay.models.pnerv import PNeRV
from nervplay.video.source import ArraySource


def clip(folder: Path) -> ArraySource:
    """The frames that the golden network was run with."""
    frames = np.load(folder / "io.npz")["frames_u8"].transpose(0, 2, 3, 1)
    return ArraySource(np.ascontiguousarray(frames))


def command(folder: Path, *more: str) -> str:
    return " ".join([f"main.py --cfg_path {folder / 'cfg.yaml'} --output_dir out", *more])


@torch.no_grad()
def check(model: VideoModel, folder: Path, output: str) -> None:
    io = np.load(folder / "io.npz")
    assert not model.training
    for ours, theirs in (("content_embedding", "content_embedding"), ("difference_embedding", "diff_embedding")):
        np.testing.assert_allclose(model.get_buffer(ours), io[theirs], atol=1e-5, rtol=0)
    np.testing.assert_allclose(model(torch.arange(4)), io[output], atol=1e-5, rtol=0)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Path], dict[str, Tensor]]:
    """Read a golden file in this process, without the child, and let every opening see the dict that is returned."""

    def load(path: Path) -> dict[str, Tensor]:
        convert(str(path), str(tmp_path / "tensors"))
        tensors: dict[str, Tensor] = load_file(tmp_path / "tensors")
        monkeypatch.setattr(official_pnerv, "load_tensors", lambda _path: tensors)
        return tensors

    return load


def test_golden_dnerv_through_the_child_process(golden: Path) -> None:
    folder = golden / "dnerv_tiny"
    model = open_pnerv(folder / "checkpoint.pth", command(folder), clip(folder))
    assert isinstance(model, DNeRV)
    assert model.config.plain_encoder
    check(model, folder, "out_trainmode")


@pytest.mark.parametrize(("flags", "output"), [((), "out_trainmode"), (("--statistics running",), "out_evalmode")])
def test_golden_pnerv(golden: Path, quick: Callable[[Path], Any], flags: tuple[str, ...], output: str) -> None:
    folder = golden / "pnerv_tiny2"
    quick(folder / "checkpoint.pth")
    model = open_pnerv("x.pth", command(folder, *flags), clip(folder))
    assert isinstance(model, PNeRV)
    check(model, folder, output)


def test_names_of_several_gpus(golden: Path, quick: Callable[[Path], dict[str, Tensor]]) -> None:
    folder = golden / "pnerv_tiny2"
    tensors = quick(folder / "checkpoint.pth")
    renamed = {name.replace("model/", "model/module."): value for name, value in tensors.items()}
    tensors.clear()
    tensors.update(renamed)
    check(open_pnerv("x.pth", command(folder), clip(folder)), folder, "out_trainmode")


@torch.no_grad()
def test_encoders_of_2023_use_their_norm_and_scale(golden: Path, quick: Callable[[Path], dict[str, Tensor]]) -> None:
    """Their channel mixing is a linear layer; with scale 1 they differ from plain ones by the norm."""
    folder = golden / "dnerv_tiny"
    tensors = quick(folder / "checkpoint.pth")
    for name, value in tensors.items():
        if ".pwconv" in name and name.endswith("weight"):
            tensors[name] = value[:, :, 0, 0]
        elif name.endswith((".gamma", ".norm.weight")):
            tensors[name] = torch.ones_like(value)
        elif name.endswith(".norm.bias"):
            tensors[name] = torch.zeros_like(value)
    model = open_pnerv("x.pth", command(folder), clip(folder))
    assert isinstance(model, DNeRV)
    assert not model.config.plain_encoder
    assert model.encoder is not None
    stage = model.encoder.get_submodule("content.stages.0")
    x = torch.rand(1, 3, 10, 20)
    y = stage.norm(stage.conv(x))
    mixed = torch.nn.functional.layer_norm(stage.depthwise(y).permute(0, 2, 3, 1), (16,), eps=1e-6).permute(0, 3, 1, 2)
    torch.testing.assert_close(stage(x), y + stage.project(torch.nn.functional.gelu(stage.expand(mixed))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("model/dec_head_layers.bias"), "lacks the tensor 'head.bias'"),
        (lambda t: t.pop("model/enc_layers.2.gamma"), "lacks the tensor 'encoder.content.stages.0.scale'"),
        (lambda t: t.update({"model/blob": torch.zeros(1)}), "'blob' that the official network does not have"),
        (
            lambda t: t.update({"model/dec_layers.9.conv.conv.bias": torch.zeros(1)}),
            "they do not know, 'stages.9.conv.bias'",
        ),
        (
            lambda t: t.update({"model/dec_head_layers.bias": torch.zeros(4)}),
            r"'head.bias' has shape \(4,\), they give \(3,\)",
        ),
        (lambda t: t.update({"model/dec_shortcuts.0.w_L": torch.zeros(4)}), "both need 4 dimensions"),
        (lambda t: t.pop("model/dec_shortcuts.3.w_R"), "'pyramid.1.kfc.rows.weight' has no fitting"),
        (lambda t: t.update({"model/dec_shortcuts.0.w_R": torch.zeros(1, 2, 4, 81)}), r"columns.weight' has shape"),
        (
            lambda t: t.update({"model/enc_layers.8.gamma": torch.zeros(3)}),
            "'encoder.content.stages.2.scale' has shape",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    golden: Path,
    quick: Callable[[Path], dict[str, Tensor]],
    change: Callable[[dict[str, Tensor]], object],
    message: str,
) -> None:
    folder = golden / "pnerv_tiny2"
    change(quick(folder / "checkpoint.pth"))
    with pytest.raises(CheckpointError, match=message):
        open_pnerv("x.pth", command(folder), clip(folder))


def test_what_is_asked_must_be_there(golden: Path, tmp_path: Path) -> None:
    folder = golden / "dnerv_tiny"
    with pytest.raises(UsageError, match=r"hold no embeddings; give the clip .*--source"):
        open_pnerv(folder / "checkpoint.pth", command(folder))
    small = ArraySource(np.zeros((4, 90, 160, 3), np.uint8))
    with pytest.raises(GeometryError, match="the clip has 160x90 frames, the official configuration 320x160"):
        open_pnerv(folder / "checkpoint.pth", command(folder), small)
    with pytest.raises(MissingInputError, match=r"nothing\.pth"):
        open_pnerv(tmp_path / "nothing.pth", command(folder), clip(folder))


def test_the_name_in_the_configuration_decides(golden: Path, tmp_path: Path, quick: Callable[[Path], Any]) -> None:
    folder = golden / "dnerv_tiny"
    quick(folder / "checkpoint.pth")
    text = (folder / "cfg.yaml").read_text()
    (tmp_path / "cfg.yaml").write_text(text.replace("D_NeRV", "E_NeRV"))
    with pytest.raises(UnknownNameError, match="E_NeRV"):
        open_pnerv("x.pth", command(tmp_path), clip(folder))
    with pytest.raises(UsageError, match="DNeRV has no normalisation; leave out --statistics running"):
        open_pnerv("x.pth", command(folder, "--statistics running"), clip(folder))
    with pytest.raises(CheckpointError, match="that the official network does not have"):
        open_pnerv("x.pth", command(golden / "pnerv_tiny2"), clip(folder))
