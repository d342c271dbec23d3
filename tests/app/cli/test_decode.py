"""`nervplay decode`: what is written is what the decoder gives, and nothing is lost on the way."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nervplay.bitstream import write_nerv
from nervplay.codec import pack
from nervplay.decode import open_decoder
from nervplay.models import build_model, resolve_preset
from nervplay.video.spec import VideoSpec


@pytest.fixture(scope="module")
def frames(small_nerv: Path) -> np.ndarray:
    with open_decoder(small_nerv, device="cpu") as decoder:
        return np.stack(list(decoder.frames()))


def test_pictures_are_named_by_index(nervplay, small_nerv: Path, frames, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    ran = nervplay("decode", small_nerv, "-o", folder, "--frames", "9,0,3:5,0")
    assert (ran.code, ran.out) == (0, "")
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["frame_00000.png", "frame_00003.png", "frame_00004.png", "frame_00009.png"]
    for name in names:
        picture = np.asarray(Image.open(folder / name))
        np.testing.assert_array_equal(picture, frames[int(name[6:11])])


def test_array(nervplay, small_nerv: Path, frames, tmp_path: Path) -> None:
    assert nervplay("decode", small_nerv, "-o", tmp_path / "a.npy").code == 0
    array = np.load(tmp_path / "a.npy")
    assert array.dtype == np.uint8
    np.testing.assert_array_equal(array, frames)


def test_array_keeps_order_and_repeats(nervplay, small_nerv: Path, frames, tmp_path: Path) -> None:
    assert nervplay("decode", small_nerv, "-o", tmp_path / "a.npy", "--frames", "7,2:4,7").code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), frames[[7, 2, 3, 7]])


def test_float_is_before_rounding(nervplay, small_nerv: Path, frames, tmp_path: Path) -> None:
    assert nervplay("decode", small_nerv, "-o", tmp_path / "a.npy", "--float", "--frames", "4:6").code == 0
    values = np.load(tmp_path / "a.npy")
    assert (values.dtype, values.shape) == (np.float32, (2, 3, 48, 64))
    with open_decoder(small_nerv, device="cpu") as decoder:
        np.testing.assert_array_equal(values[1], decoder.float_frame(5))
    assert np.abs(values * 255 - frames[4:6].transpose(0, 3, 1, 2)).max() <= 0.5 + 1e-3


def test_pictures_between_frames(nervplay, tmp_path: Path) -> None:
    spec = VideoSpec(width=64, height=32, frame_count=6, rate=Fraction(24))
    network = build_model("nerv", resolve_preset("nerv-tiny")[1].configure(64, 32, 6))
    write_nerv(tmp_path / "time.nerv", pack(network, spec))
    assert nervplay("decode", tmp_path / "time.nerv", "-o", tmp_path / "out", "--at", "3,7/2,0.25").code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"position_{name}.png" for name in ("3", "7-2", "1-4")
    }
    assert nervplay("decode", tmp_path / "time.nerv", "-o", tmp_path / "a.npy", "--at", "7/2").code == 0
    with open_decoder(tmp_path / "time.nerv", device="cpu") as decoder:
        np.testing.assert_array_equal(np.load(tmp_path / "a.npy")[0], decoder.frame_at(Fraction(7, 2)))
        np.testing.assert_array_equal(Image.open(tmp_path / "out" / "position_3.png"), decoder.frame(3))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-o", "a.npy", "--frames", "3,10"], 2, "frame 10 is outside the clip; its frames are 0 to 9"),
        (["-o", "a.npy", "--frames", "x"], 2, "names no frames"),
        (["-o", "a.npy", "--precision", "fp8"], 2, "unknown precision 'fp8'"),
        (["-o", "a.npy", "--backend", "fast"], 2, "unknown backend 'fast'"),
        (["-o", "a.npy", "--device", "tpu"], 2, "is not a device"),
        (["-o", "a.npy", "--device", "cuda:99"], 6, "no CUDA device 'cuda:99'"),
        (["-o", "frames", "--float"], 2, "must end with .npy"),
        (["-o", "frames", "--at", "1,7/2"], 6, "whole frames only"),
        (["-o", "frames", "--at", "9.5"], 2, "its frames are 0 to 9"),
        (["-o", "frames", "--at", "1", "--frames", "2"], 2, "leave out --frames"),
        (["-o", "clip.mp4"], 2, "nervplay export"),
        (["-o", "none/a.npy"], 4, "does not exist"),
        (["-o", "none/frames"], 4, "does not exist"),
    ],
)
def test_refused(nervplay, *, small_nerv: Path, tmp_path: Path, monkeypatch, arguments, code: int, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    ran = nervplay("decode", small_nerv, *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert words in ran.error
    assert list(tmp_path.iterdir()) == []


def test_existing_array_asks_for_overwrite(nervplay, small_nerv: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.npy"
    target.write_bytes(b"old")
    ran = nervplay("decode", small_nerv, "-o", target)
    assert ran.code == 4
    assert "--overwrite" in ran.error
    assert target.read_bytes() == b"old"
    assert nervplay("decode", small_nerv, "-o", target, "--overwrite").code == 0
    assert np.load(target).shape == (10, 48, 64, 3)


def test_one_existing_picture_stops_all_of_them(nervplay, small_nerv: Path, tmp_path: Path) -> None:
    (tmp_path / "frame_00002.png").write_bytes(b"old")
    ran = nervplay("decode", small_nerv, "-o", tmp_path)
    assert ran.code == 4
    assert "--overwrite" in ran.error
    assert [path.name for path in tmp_path.iterdir()] == ["frame_00002.png"]
    assert nervplay("decode", small_nerv, "-o", tmp_path, "--frames", "5:").code == 0
    assert nervplay("decode", small_nerv, "-o", tmp_path, "--overwrite").code == 0
    assert len(list(tmp_path.iterdir())) == 10
