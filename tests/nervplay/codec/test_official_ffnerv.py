"""Official FFNeRV checkpoints: a real one, and ones that do not fit."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nervplay.codec import official_ffnerv
from nervplay.codec.official_ffnerv import ffnerv_config, open_ffnerv, parse_ffnerv
from nervplay.codec.official_load import load_tensors
from nervplay.errors import CheckpointError, GeometryError, UsageError
from nervplay.models.ffnerv import PRESETS, FFNeRV
from nervplay.models.ffnerv_config import FFNeRVConfig
from nervplay.video.source import ArraySource

REPRESENTATION = """python main.py -e 300 --lower-width 96 --num-blocks 1 --dataset bunny --outf out
--fc-hw-dim 9_16_156 --expansion 1 --loss Fusion6 --strides 5 2 2 2 2 --conv-type conv -b 1 --lr 0.0005
--agg-ind -2 -1 1 2 --lw 0.1 --wbit 32 --t-dim 64 128 256 512 --resol 1280 720"""
COMPRESSION = """python main.py -e 600 --lower-width 24 --num-blocks 1 --dataset uvg --outf out --fc_hw_dim 9_16_48
--expansion 8 --loss Fusion6 --strides 5 3 2 2 2 --conv_type compact -b 1 --lr 0.0005 --agg_ind -2 -1 1 2 --lw 0.1
--wbit 8 --t_dim 300 600 --resol 1920 1080"""


@pytest.fixture
def folder(golden: Path) -> Path:
    return golden / "ffnerv_b_180x320_conv_fp32_sigmoid"


@pytest.fixture
def arguments(folder: Path) -> str:
    return " ".join(json.loads((folder / "config.json").read_text())["eval_flags"])


@pytest.fixture(scope="module")
def tensors(golden: Path) -> dict[str, Tensor]:
    """What the loader gives of the golden checkpoint, by way of its child process."""
    return load_tensors(golden / "ffnerv_b_180x320_conv_fp32_sigmoid" / "checkpoint.pth")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that every opening gives from now on, in place of a file; they may be changed."""
    loaded = dict(tensors)
    monkeypatch.setattr(official_ffnerv, "load_tensors", lambda _path: dict(loaded))
    return loaded


@torch.no_grad()
def test_a_checkpoint_decodes_as_the_official_code_does(folder: Path, arguments: str, quick: dict[str, Tensor]) -> None:
    io = np.load(folder / "io.npz")
    model = open_ffnerv("x.pth", arguments, ArraySource(np.zeros((7, 180, 320, 3), np.uint8)))
    assert isinstance(model, FFNeRV)
    assert not model.training
    rgb = model.independent(torch.tensor([3])).picture[:, :, ::2, ::2]
    np.testing.assert_allclose(rgb[0], io["rgb5_head_stride2"][2, :3], atol=1e-5, rtol=0)
    # float16 neighbours: a last bit may become a step, see the tests of the network
    assert (np.abs(model(torch.tensor([3]))[0].numpy() - io["out"][2]) > 1e-5).mean() < 1e-3


def test_a_pruned_checkpoint(arguments: str, quick: dict[str, Tensor]) -> None:
    name = "state_dict/layers.1.conv.conv1.weight"
    value = quick.pop(name)
    quick[f"{name}_orig"], quick[f"{name}_mask"] = value, (value > 0).float()
    stored = open_ffnerv("x.pth", f"{arguments} --frames 7").stored_state()["stages.1.conv.weight"]
    assert torch.equal(stored, value.clamp(min=0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video_grid.1": None}, "lack the tensor 'grids.1'"),
        ({"video_grid.0": torch.zeros(3, 8, 9, 16)}, r"'grids.0' has shape \(3, 8, 9, 16\)"),
        ({"layers.5.conv.conv1.bias": torch.zeros(3)}, "'stages.5.conv.bias' that this ffnerv does not know"),
        ({"stem.0.bias": torch.zeros(3)}, "'stem.0.bias' that the official network does not have"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    arguments: str, quick: dict[str, Tensor], change: dict[str, Tensor | None], message: str
) -> None:
    for name, value in change.items():
        if value is None:
            del quick[f"state_dict/{name}"]
        else:
            quick[f"state_dict/{name}"] = value
    with pytest.raises(CheckpointError, match=message):
        open_ffnerv("x.pth", f"{arguments} --frames 7")


def test_the_readme_lines_are_the_presets() -> None:
    representation = ffnerv_config(parse_ffnerv(REPRESENTATION), 132)
    assert representation == PRESETS["representation"].configure(1280, 720, 132)
    assert ffnerv_config(parse_ffnerv(COMPRESSION), 600) == PRESETS["compression"].configure(1920, 1080, 600)


def test_official_defaults() -> None:
    config = ffnerv_config(parse_ffnerv("--resol 1920 1080"), 9)
    assert config == FFNeRVConfig(
        width=1920,
        height=1080,
        frame_count=9,
        grid=(9, 16),
        channels=128,
        strides=(5, 3, 2, 2, 2),
        grid_rows=(256, 512),
        expansion=8.0,
        lower_width=32,
        neighbours=(-2, -1, 0, 1, 2),
        side_weight=1.0,
    )
    assert ffnerv_config(parse_ffnerv("--resol=1920 1080 --sigmoid".replace("=", " ")), 9).output == "sigmoid"


@pytest.mark.parametrize(
    ("extra", "error", "message"),
    [
        ("--single-res", UsageError, "--single-res .*forward pass fails"),
        ("--conv-type deconv", UsageError, "--conv-type deconv .*forward pass fails"),
        ("--num-blocks 2", UsageError, "--num-blocks 2"),
        ("--frame-gap 2", UsageError, "--frame-gap 2"),
        ("--vid 1 2", UsageError, "--vid 1 2"),
        ("--resol 1920 1080", UsageError, "--resol 1920 1080 .*give 1280x720"),
        ("--fc-hw-dim 9_16", UsageError, "3 numbers joined"),
        ("--wbit 16", UsageError, "weight_bits is 16"),
        ("--act sin", UsageError, "invalid choice: 'sin'"),
        ("--bits 8", UsageError, "unrecognized arguments: --bits 8"),
        ("--outf 'x", UsageError, "do not split into words"),
        ("--strides 5 2 2 4 1", None, ""),
        ("--strides 5 2 2 1 4", None, ""),
        ("--strides 5 4 2 1 2", GeometryError, "last two must make 4"),
    ],
)
def test_what_cannot_be_had_is_named(extra: str, error: type[Exception] | None, message: str) -> None:
    words = REPRESENTATION.replace("\n", " ") + f" {extra}"
    if error is None:
        assert ffnerv_config(parse_ffnerv(words), 9).strides[0] == 5
        return
    with pytest.raises(error, match=message):
        ffnerv_config(parse_ffnerv(words), 9)
