"""`nervplay rd`: page, table and picture of the real thing, with real encoders."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from ffmpeg_bridge import vmaf
from nervplay.errors import CapabilityError


@pytest.fixture
def _without_vmaf(monkeypatch) -> None:
    """A machine without libvmaf, which would take most of the time."""

    def missing() -> Path:
        raise CapabilityError("no ffmpeg program is installed; install one")

    monkeypatch.setattr(vmaf, "find_vmaf", missing)
    monkeypatch.setattr("app.cli.work.rd.find_vmaf", missing)


@pytest.mark.usefixtures("_without_vmaf")
def test_page_table_and_picture(nervplay, small_nerv: Path, small_clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "rd"
    ran = nervplay("rd", small_clip, small_nerv, "--anchors", "x264:ultrafast,svtav1:12", "-o", out, "--json")
    assert ran.code == 0, ran.err
    assert sorted(path.name for path in out.iterdir()) == ["index.html", "plots.png", "points.csv"]
    data = json.loads(ran.out)
    assert [curve["name"] for curve in data["curves"]] == ["hnerv", "x264 ultrafast", "svtav1 12"]
    assert data["measures"] == ["psnr", "psnr-yuv", "ssim"]
    assert set(data["missing"]) == {"vmaf", "ms-ssim"}
    size = small_nerv.stat().st_size
    neural = data["curves"][0]["points"][0]
    assert 0 < neural["bytes"] < size, "without its sound"
    assert all(neural["bytes"] in {p["target_bytes"] for p in curve["points"]} for curve in data["curves"])
    report = json.loads(nervplay("eval", small_nerv, small_clip, "--json").out)
    assert neural["quality"]["psnr"] == pytest.approx(report["metrics"]["psnr"]["mean"])
    rows = list(csv.DictReader((out / "points.csv").read_text().splitlines()))
    assert len(rows) == sum(len(curve["points"]) for curve in data["curves"])
    assert "small.nerv" in (out / "index.html").read_text()
    with Image.open(out / "plots.png") as picture:
        assert picture.width > 1000
    again = nervplay("rd", small_clip, small_nerv, "--anchors", "none", "-o", out)
    assert again.code == 0, again.err
    assert again.out.splitlines()[0].split() == ["curve", "point", "bytes", "bpp", "psnr", "psnr-yuv", "ssim"]
    assert len(again.out.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--anchors", "x263", "-o", "o"], 2, "unknown anchor 'x263'"),
        (["-o", "file/o"], 4, "cannot be made"),
    ],
)
def test_refused(nervplay, *, small_nerv: Path, small_clip: Path, tmp_path: Path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    ran = nervplay("rd", small_clip, small_nerv, *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert words in ran.error


def test_files_of_other_sizes(nervplay, small_nerv: Path, small_clip: Path, tmp_path: Path) -> None:
    sample = Path(__file__).resolve().parents[3] / "samples" / "bunny-320x180.nerv"
    ran = nervplay("rd", small_clip, small_nerv, sample, "-o", tmp_path / "o")
    assert ran.code == 2
    assert "320x180 with 132 frames" in ran.error
