"""`nervplay import`: official checkpoints become files that measure what the official code measured."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from ffmpeg_bridge import open_source
from nervplay.bitstream import peek_nerv, read_nerv


class Official(NamedTuple):
    """A checkpoint, its command line, and the PSNR that the official code reports."""

    checkpoint: Path
    arguments: str
    psnr_db: float


@pytest.fixture(scope="module")
def official(golden: Path) -> Official:
    """A quantised HNeRV of four frames of 320x240."""
    folder = golden / "hnerv_a"
    facts = json.loads((folder / "config.json").read_text())
    assert facts["bunny_frames_1based"] == [1, 34, 67, 132]
    return Official(folder / "quant_vid.pth", facts["argv"], facts["official_metrics"]["quant_seen_psnr"][0])


def test_integers_stay_and_quality_is_the_official_one(nervplay, official, clip: Path, tmp_path: Path) -> None:
    pictures, target = tmp_path / "pictures", tmp_path / "a.nerv"
    pictures.mkdir()
    with open_source(clip) as source:
        for number, frame in enumerate(source.frames([7, 0, 33, 66, 131])):
            Image.fromarray(frame).save(pictures / f"{number}.png")
    cut = ("--source", pictures, "--frames", "1:5")
    ran = nervplay("import", official.checkpoint, "--official", official.arguments, *cut, "-o", target, "--json")
    assert ran.code == 0, ran.err
    # frames are rounded to 8 bits here, not there
    assert json.loads(ran.out)["psnr_db"] == pytest.approx(official.psnr_db, abs=2e-3)
    header = peek_nerv(target)
    assert header.source["transform"] == {"crop": [320, 240], "scale": None, "frames": [1, 5]}
    assert header.recipe["official"] == {"checkpoint": "quant_vid.pth", "arguments": official.arguments}
    assert header.recipe["psnr_db"] == pytest.approx(official.psnr_db, abs=0.01)
    assert json.loads(ran.out)["file_bytes"] == target.stat().st_size
    report = json.loads(nervplay("eval", target, pictures, "--metrics", "psnr", "--json").out)
    assert report["metrics"]["psnr"]["mean"] == json.loads(ran.out)["psnr_db"]


@pytest.mark.usefixtures("trusted")
def test_without_a_source(nervplay, official, tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    ran = nervplay("import", official.checkpoint, "--official", official.arguments, "-o", target)
    assert (ran.code, ran.out) == (0, "")
    file = read_nerv(target)
    assert (file.video.frame_count, file.video.rate, file.audio, dict(file.source)) == (4, 25, None, {})


@pytest.mark.usefixtures("trusted")
def test_float_weights_are_quantised(nervplay, golden: Path, clip: Path, tmp_path: Path) -> None:
    folder = golden / "nerv_a_90x160_readme_like"
    facts = json.loads((folder / "config.json").read_text())
    arguments = " ".join([*facts["train_flags"], "--frames", str(facts["n_frames"])])
    target = tmp_path / "a.nerv"
    cut = ("--source", clip, "--frames", f"0:{facts['n_frames']}")
    ran = nervplay("import", folder / "checkpoint.pth", "--official", arguments, *cut, "-o", target, "--bits", "7")
    assert ran.code == 0, ran.err
    header = peek_nerv(target)
    assert (header.architecture, header.video.width, header.video.height) == ("nerv", 160, 90)
    assert {tensor.bits for segment in header.segments for tensor in segment.tensors} == {7}
    assert header.audio_codec == "aac"


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--official", "--nonsense"], 2, "official arguments"),
        (["--official", "--fc_hw_dim 9_16_10", "--frames", "0:3"], 2, "give --source"),
        (["--official", ""], 2, "does not say how many frames"),
        ([], 2, "--official"),
    ],
)
def test_refused(nervplay, *, golden: Path, tmp_path: Path, arguments, code: int, words: str) -> None:
    checkpoint = golden / "nerv_a_90x160_readme_like" / "checkpoint.pth"
    ran = nervplay("import", checkpoint, *arguments, "-o", tmp_path / "a.nerv")
    assert (ran.code, ran.out) == (code, "")
    assert words in ran.error
    assert list(tmp_path.iterdir()) == []


def test_not_a_checkpoint(nervplay, small_clip: Path, tmp_path: Path) -> None:
    ran = nervplay("import", small_clip, "--official", "", "-o", tmp_path / "a.nerv")
    assert (ran.code, ran.out) == (3, "")
    assert "not a checkpoint" in ran.error
