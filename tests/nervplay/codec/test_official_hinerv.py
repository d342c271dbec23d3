"""Official HiNeRV checkpoints and bitstreams, real ones, and damaged ones."""

import io
import json
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nervplay.bitstream.layout import QuantisedTensor
from nervplay.codec.official_hinerv import open_hinerv, open_hinerv_bitstream
from nervplay.codec.official_hinerv_zip import HiNeRVZip, is_hinerv_zip
from nervplay.errors import CheckpointError, MissingInputError, UsageError
from nervplay.models.hinerv import rename_upstream_keys

METADATA = "model_compressed.pth.tar"
STEM = "decoder.stem.conv.parametrizations.weight"


def arguments(folder: Path) -> str:
    about = json.loads((folder / "config.json").read_text())
    _, height, width = about["video_size"]
    return f"{about['model_flags']} --input-size {height} {width}"


@pytest.fixture
def checkpoint(golden: Path) -> Path:
    return golden / "tiny_b" / "checkpoints" / "checkpoint_0" / "pytorch_model.bin"


@pytest.fixture
def stream(golden: Path) -> Path:
    return golden / "bunny_xxs_q" / "bitstreams" / "Q6.zip"


@torch.no_grad()
def test_a_checkpoint_decodes_as_the_official_code_does(golden: Path, checkpoint: Path) -> None:
    frames = np.load(golden / "tiny_b" / "io.npz")
    model = open_hinerv(checkpoint, arguments(golden / "tiny_b"))
    assert (model.config.frame_count, model.config.width, model.config.height) == (10, 240, 160)
    assert not model.training
    output = model(torch.from_numpy(frames["frames"]))
    np.testing.assert_allclose(output, frames["out_frame"][:, :, 0], atol=1e-5, rtol=0)


@pytest.mark.usefixtures("trusted")
def test_wrappers_masks_and_formats_change_nothing_else(golden: Path, checkpoint: Path, tmp_path: Path) -> None:
    words = arguments(golden / "tiny_b")
    plain = open_hinerv(checkpoint, words).stored_state()
    state = torch.load(checkpoint, weights_only=True)
    state[f"{STEM}.0.mask"] = torch.rand(state[f"{STEM}.original"].shape) > 0.5
    wrapped = {f"module._orig_mod.{name}": value for name, value in state.items()}
    torch.save(wrapped, tmp_path / "wrapped.pth")
    save_file(state, tmp_path / "model.safetensors")
    folded = {k.replace(".parametrizations.weight.original", ".weight"): v for k, v in state.items()}
    save_file({k: v for k, v in folded.items() if "parametrizations" not in k}, tmp_path / "folded.safetensors")
    for file, masked in (("wrapped.pth", True), ("model.safetensors", True), ("folded.safetensors", False)):
        opened = open_hinerv(tmp_path / file, words).stored_state()
        for name, value in plain.items():
            expected = value * state[f"{STEM}.0.mask"] if masked and name == "stem.weight" else value
            assert torch.equal(opened[name], expected), f"{name} of {file}"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda s: s.pop("decoder.head.linear.bias"), "lack the tensor 'head.bias'"),
        (lambda s: s.update({"decoder.tail.weight": torch.zeros(1)}), "'decoder.tail.weight'"),
        (lambda s: s.update({"decoder.head.linear.bias": torch.zeros(4)}), "'head.bias' has shape"),
        (lambda s: s.update({f"{STEM}.0.mask": torch.ones(3)}), "mask of 'decoder.stem.conv.weight'"),
        (lambda s: s.update({f"{STEM}.1.other": torch.ones(3)}), "that the official network does not have"),
        (lambda s: [s.pop(k) for k in list(s) if k.startswith("decoder.blocks.0.1.enc.grids.0")], "has no grid"),
    ],
)
def test_what_does_not_fit_is_named(
    golden: Path, checkpoint: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], named: str
) -> None:
    state = dict(torch.load(checkpoint, weights_only=True))
    change(state)
    save_file(state, tmp_path / "changed.safetensors")
    with pytest.raises(CheckpointError, match=named):
        open_hinerv(tmp_path / "changed.safetensors", arguments(golden / "tiny_b"))


def test_arguments_that_do_not_fit_are_told(golden: Path, checkpoint: Path, tmp_path: Path) -> None:
    words = arguments(golden / "tiny_b")
    save_file(torch.load(checkpoint, weights_only=True), tmp_path / "model.safetensors")
    checkpoint = tmp_path / "model.safetensors"
    with pytest.raises(CheckpointError, match="does not fit its official arguments"):
        open_hinerv(checkpoint, words.replace("--channels 48", "--channels 50"))
    with pytest.raises(UsageError, match="add --input-size"):
        open_hinerv(checkpoint, words.split("--input-size", maxsplit=1)[0])
    with pytest.raises(MissingInputError, match=r"nothing\.pth"):
        open_hinerv("nothing.pth", words)
    with pytest.raises(MissingInputError, match=r"nothing\.zip"):
        open_hinerv_bitstream("nothing.zip", words)


def test_damaged_files_are_refused(golden: Path, tmp_path: Path) -> None:
    words = arguments(golden / "tiny_b")
    for name in ("bytes.pth", "bytes.safetensors", "bytes.zip"):
        (tmp_path / name).write_bytes(b"nothing of the kind" * 9)
        with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
            open_hinerv(tmp_path / name, words)
    with pytest.raises(CheckpointError):
        open_hinerv_bitstream(tmp_path / "bytes.zip", words)


@pytest.mark.usefixtures("trusted")
@torch.no_grad()
def test_a_bitstream_gives_the_official_weights_and_frame(golden: Path, stream: Path) -> None:
    folder = golden / "bunny_xxs_q"
    model = open_hinerv(stream, arguments(folder))
    expected = rename_upstream_keys(torch.load(folder / "decoded_Q6.pt", weights_only=True))
    state = model.stored_state()
    assert expected.keys() == state.keys()
    for name, value in expected.items():
        assert torch.equal(state[name], value), name
    frames = np.load(folder / "io.npz")
    output = model(torch.from_numpy(frames["frames"]))[:, :, ::2, ::2].numpy()
    golden_frame = frames["out_Q6"][:, :, 0]
    rounding = np.spacing(golden_frame).astype(np.float32) / 2  # the golden frame is kept in float16
    assert (np.abs(output - golden_frame.astype(np.float32)) <= rounding + 1e-5).all()


@pytest.mark.usefixtures("trusted")
def test_a_bitstream_keeps_its_integers(golden: Path, stream: Path) -> None:
    folder = golden / "bunny_xxs_q"
    config, tensors = open_hinerv_bitstream(stream, arguments(folder))
    assert (config.frame_count, config.channels) == (132, 136)
    expected = rename_upstream_keys(torch.load(folder / "decoded_Q6.pt", weights_only=True))
    assert tensors.keys() == expected.keys()
    for name, value in tensors.items():
        if name.endswith("bias"):
            assert isinstance(value, np.ndarray)
            assert value.dtype == np.float32
            continue
        assert isinstance(value, QuantisedTensor)
        assert value.bits == 6
        assert value.minimum.dtype == value.scale.dtype == np.float16
        assert np.array_equal(value.dequantise(), expected[name].numpy())
    pruned = tensors["stages.0.steps.0.mixing.expand.weight"]
    assert isinstance(pruned, QuantisedTensor)
    assert 0.1 < (pruned.codes == 32).mean() < 0.4, "pruned weights are the middle code"


def rezip(source: Path, target: Path, change: Callable[[dict[str, Any]], None], drop: str = "", cut: str = "") -> Path:
    """Copy a bitstream with changed metadata, without a member, or with a shortened one."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith(METADATA):
                tree = torch.load(io.BytesIO(zlib.decompress(data)), weights_only=True)
                change(tree)
                buffer = io.BytesIO()
                torch.save(tree, buffer)
                data = zlib.compress(buffer.getvalue(), 0)
            if not (drop and name.endswith(drop)):
                new.writestr(name, data + bytes(10**6) if cut and name.endswith(cut) else data)
    return target


def keep(_tree: dict[str, Any]) -> None:
    pass


KEY = f"{STEM}.original"
GRID = "encoding.grids.0.parametrizations.weight.original"


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.pop("quant_config"), "no quant_config"),
        (lambda t: t.pop("decoder.head.linear.bias"), "lacks the tensor 'head.bias'"),
        (lambda t: t.update({"decoder.tail.weight": torch.zeros(1)}), "decoder.tail.weight"),
        (lambda t: t.update({"decoder.stem.conv.bias": torch.zeros(4)}), r"has shape \(4,\)"),
        (lambda t: t.update({"decoder.stem.conv.bias": {"x": torch.zeros(1)}}), "is no tensor"),
        (lambda t: t.update({"decoder.stem.conv.bias": torch.zeros(1).expand(1 << 60)}), r"Q6\.zip"),
        (lambda t: t[GRID].update(shape=torch.Size([5, 2])), "has 10 integers, 46080 are needed"),
        (lambda t: t[GRID].update(cdf=t[GRID]["cdf"].flip(0)), "does not rise"),
        (lambda t: t[GRID].update(cdf=t[GRID]["cdf"][:-1]), "no fitting symbols and histogram"),
        (lambda t: t[GRID].update(sym=t[GRID]["sym"] * 9000), "integers over 16 bits"),
        (lambda t: t[GRID].update(dim=0), "is missing"),
        (lambda t: t["quant_config"][GRID].update(scale=torch.ones(3, 1).half()), "does not fit"),
        (lambda t: t["quant_config"][GRID].update(scale=torch.ones(1, 2) * torch.nan), "does not fit"),
        (lambda t: t[f"{KEY}_mask"].update(shape=torch.Size([136, 6, 3])), "integers, 7344 are needed"),
    ],
)
def test_changed_metadata_is_refused(
    golden: Path, stream: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], named: str
) -> None:
    path = rezip(stream, tmp_path / "Q6.zip", change)
    with pytest.raises(CheckpointError, match=named):
        open_hinerv_bitstream(path, arguments(golden / "bunny_xxs_q"))


@pytest.mark.usefixtures("trusted")
def test_missing_and_swollen_members_are_refused(golden: Path, stream: Path, tmp_path: Path) -> None:
    words = arguments(golden / "bunny_xxs_q")
    for options in ({"drop": f"{GRID}.bit"}, {"cut": f"{GRID}.bit"}):
        path = rezip(stream, tmp_path / "Q6.zip", keep, **options)
        with pytest.raises(CheckpointError, match=r"encoding\.grids\.0.* is missing or over"):
            open_hinerv_bitstream(path, words)
    rezip(stream, tmp_path / "Q6.zip", keep, drop=METADATA)
    assert not is_hinerv_zip(tmp_path / "Q6.zip")
    with pytest.raises(CheckpointError, match="missing"):
        HiNeRVZip(tmp_path / "Q6.zip")


@pytest.mark.usefixtures("trusted")
def test_flipped_bits_are_refused(golden: Path, stream: Path, tmp_path: Path) -> None:
    words = arguments(golden / "bunny_xxs_q")
    whole = stream.read_bytes()
    for place in (len(whole) // 3, len(whole) - 40):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        (tmp_path / "Q6.zip").write_bytes(damaged)
        with pytest.raises(CheckpointError):
            open_hinerv_bitstream(tmp_path / "Q6.zip", words)


def test_metadata_that_is_no_plain_dict_of_tensors_is_refused(stream: Path, tmp_path: Path) -> None:
    path = tmp_path / "Q6.zip"
    shutil.copy(stream, path)
    for data in (b"no zlib at all", zlib.compress(b"no zip"), zlib.compress(bytes(70 << 20))):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(METADATA, data)
        with pytest.raises(CheckpointError, match=r"Q6\.zip"):
            HiNeRVZip(path)
    buffer = io.BytesIO()
    torch.save({"quant_config": {}, "x": torch.zeros(10)}, buffer)
    deflated = io.BytesIO()
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(METADATA, zlib.compress(deflated.getvalue()))
    with pytest.raises(CheckpointError, match="deflated entries"):
        HiNeRVZip(path)
