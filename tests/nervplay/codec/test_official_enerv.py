"""Official E-NeRV checkpoints: a real one, and ones that do not fit."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nervplay.codec import official_enerv
from nervplay.codec.official_enerv import open_enerv, parse_enerv
from nervplay.codec.official_load import load_tensors
from nervplay.errors import CheckpointError, MissingInputError, UsageError
from nervplay.video.source import ArraySource


@pytest.fixture
def folder(golden: Path) -> Path:
    return golden / "enerv_a_90x160"


@pytest.fixture(scope="module")
def tensors(golden: Path) -> dict[str, Tensor]:
    """What the loader gives of the golden checkpoint, by way of its child process."""
    return load_tensors(golden / "enerv_a_90x160" / "checkpoint.pth")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that every opening gives from now on, in place of a file; they may be changed."""
    loaded = dict(tensors)
    monkeypatch.setattr(official_enerv, "load_tensors", lambda _path: dict(loaded))
    return loaded


@torch.no_grad()
def test_a_checkpoint_decodes_as_the_official_code_does(folder: Path, quick: dict[str, Tensor]) -> None:
    io = np.load(folder / "io.npz")
    assert "model/xy_coord" in quick
    model = open_enerv(folder / "checkpoint.pth", "python main.py --output_dir x --device cuda --frames 7")
    assert (model.architecture, model.config.width, model.config.height) == ("e-nerv", 160, 90)
    assert not model.training
    out = model(torch.from_numpy(io["frame_index"]))
    np.testing.assert_allclose(out, io["out"], atol=1e-5, rtol=0)


def test_the_configuration_is_named_or_lies_beside(folder: Path, quick: dict[str, Tensor], tmp_path: Path) -> None:
    source = ArraySource(np.zeros((7, 90, 160, 3), np.uint8))
    with pytest.raises(MissingInputError, match=r"cfg.yaml does not exist .*--cfg_path"):
        open_enerv(tmp_path / "checkpoint.pth", "", source)
    shutil.copy(folder / "cfg.yaml", tmp_path / "mine.yaml")
    model = open_enerv(tmp_path / "checkpoint.pth", f"--cfg_path {tmp_path / 'mine.yaml'}", source)
    assert model.config.frame_count == 7
    (tmp_path / "cfg.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(CheckpointError, match="is no text"):
        open_enerv(tmp_path / "checkpoint.pth", "--frames 7")
    (tmp_path / "cfg.yaml").write_bytes(b"#" * 70_000)
    with pytest.raises(CheckpointError, match="over 65536 bytes"):
        open_enerv(tmp_path / "checkpoint.pth", "--frames 7")


def test_coordinates_may_be_missing_but_not_others(folder: Path, quick: dict[str, Tensor]) -> None:
    quick["model/xy_coord"] = quick["model/xy_coord"] + 1e-3
    with pytest.raises(CheckpointError, match=r"'xy_coord' .*computed here, not stored"):
        open_enerv(folder / "checkpoint.pth", "--frames 7")
    quick["model/xy_coord"] = torch.zeros(2, 3)
    with pytest.raises(CheckpointError, match=r"'xy_coord' of shape \(2, 3\)"):
        open_enerv(folder / "checkpoint.pth", "--frames 7")
    del quick["model/xy_coord"]
    assert open_enerv(folder / "checkpoint.pth", "--frames 7").config.frame_count == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model/trans1.attn.to_qkv.weight": None}, "lack the tensor 'place_transformer.qkv.weight'"),
        ({"model/t_layers.0.0.bias": torch.zeros(3)}, r"'modulations.0.bias' has shape \(3,\)"),
        ({"model/t_layers.7.0.bias": torch.zeros(3)}, "'modulations.7.bias' that this e-nerv does not know"),
        ({"model/blob": torch.zeros(3)}, "'blob' that the official network does not have"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    folder: Path, quick: dict[str, Tensor], change: dict[str, Tensor | None], message: str
) -> None:
    for name, value in change.items():
        if value is None:
            del quick[name]
        else:
            quick[name] = value
    with pytest.raises(CheckpointError, match=message):
        open_enerv(folder / "checkpoint.pth", "--frames 7")


def test_command_lines() -> None:
    flags = parse_enerv("torchrun --nproc 2 main.py --cfg_path a.yaml --port 1 \\\n --frames 3")
    assert (flags.cfg_path, flags.frames) == ("a.yaml", 3)
    with pytest.raises(UsageError, match="unrecognized arguments: --lr"):
        parse_enerv("--lr 1")
    with pytest.raises(UsageError, match="do not split into words"):
        parse_enerv("--cfg_path 'a")
