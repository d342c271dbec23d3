"""`nervplay eval`: figures against a computation of their own, and the source cut as it was for fitting."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from ffmpeg_bridge import open_source
from nervplay.decode import open_decoder


def test_json(nervplay, small_nerv: Path, small_clip: Path) -> None:
    ran = nervplay("eval", small_nerv, small_clip, "--json")
    assert (ran.code, ran.err) == (0, "")
    report = json.loads(ran.out)
    with open_decoder(small_nerv, device="cpu") as decoder, open_source(small_clip) as source:
        pairs = [(a.astype(float), b.astype(float)) for a, b in zip(decoder.frames(), source.frames(), strict=True)]
    expected = [10 * np.log10(255**2 / np.mean((a - b) ** 2)) for a, b in pairs]
    psnr = report["metrics"]["psnr"]
    assert psnr["values"] == pytest.approx(expected)
    assert psnr["mean"] == pytest.approx(np.mean(expected))
    assert psnr["worst_frame"] == int(np.argmin(expected))
    assert report["bpp"] == pytest.approx(8 * small_nerv.stat().st_size / (64 * 48 * 10))
    assert report["metrics"]["ms-ssim"] is None
    assert "161" in report["unavailable"]["ms-ssim"]


def test_table_and_csv(nervplay, small_nerv: Path, small_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    ran = nervplay("eval", small_nerv, small_clip, "--csv", target, "--metrics", "psnr")
    assert ran.code == 0
    rows = list(csv.DictReader(target.read_text().splitlines()))
    values = [float(row["psnr_db"]) for row in rows]
    assert [row["frame"] for row in rows] == [str(number) for number in range(10)]
    line = next(line for line in ran.out.splitlines() if line.startswith("PSNR")).split()
    assert line[2:] == [f"{np.mean(values):.2f}", f"{min(values):.2f}", f"{max(values):.2f}", str(np.argmin(values))]
    size = small_nerv.stat().st_size
    assert f"= 8 * {size} / (64 * 48 * 10)" in ran.out
    assert str(target) in ran.err


def test_the_source_is_cut_as_recorded(nervplay, small_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    cut = ["--frames", "2:6", "--crop", "32x32", "--scale", "16x16", "--epochs", "1"]
    assert nervplay("encode", small_clip, target, "--preset", "hnerv-tiny", *cut).code == 0
    report = json.loads(nervplay("eval", target, small_clip, "--json").out)
    assert (report["width"], report["height"], report["frame_count"]) == (16, 16, 4)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--metrics", "psnr,vmav"], 2, "unknown metric 'vmav'"),
        (["--csv", "a.txt"], 2, "must end with .csv"),
        (["--csv", "none/a.csv"], 4, "does not exist"),
    ],
)
def test_refused(nervplay, *, small_nerv: Path, small_clip: Path, arguments, code: int, words: str) -> None:
    ran = nervplay("eval", small_nerv, small_clip, *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert words in ran.error


def test_the_target_is_checked_before_the_work(nervplay, small_nerv: Path, small_clip: Path, tmp_path: Path) -> None:
    damaged, table = tmp_path / "a.nerv", tmp_path / "a.csv"
    damaged.write_bytes(small_nerv.read_bytes()[:-1])
    table.write_bytes(b"old")
    assert nervplay("eval", damaged, small_clip, "--csv", table).code == 4
    assert nervplay("eval", damaged, small_clip, "--csv", table, "--overwrite").code == 3
    assert table.read_bytes() == b"old"


def test_a_source_of_another_clip(nervplay, small_nerv: Path, clip: Path) -> None:
    ran = nervplay("eval", small_nerv, clip)
    assert (ran.code, ran.out) == (2, "")
    assert "1280x720 with 132 frames" in ran.error


def test_measures_of_ffmpeg(nervplay, small_nerv: Path, small_clip: Path, tmp_path: Path) -> None:
    names = ["xpsnr", "psnr-yuv", "ffmpeg-psnr", "ssim"]
    ran = nervplay("eval", small_nerv, small_clip, "--metrics", ",".join(names), "--json", "--csv", tmp_path / "a.csv")
    report = json.loads(ran.out)
    assert list(report["metrics"]) == names, "in the order that was asked for"
    assert all(len(report["metrics"][name]["values"]) == 10 for name in names)
    assert (tmp_path / "a.csv").read_text().startswith("frame,xpsnr,psnr_yuv_db,ffmpeg_psnr,ssim\n")


def test_vmaf(nervplay, small_nerv: Path, small_clip: Path) -> None:
    ran = nervplay("eval", small_nerv, small_clip, "--metrics", "vmaf,psnr")
    if ran.code == 6:  # what a machine without libvmaf says, before any measuring
        assert "nervplay[vmaf]" in ran.error
        return
    assert ran.code == 0, ran.err
    line = next(line for line in ran.out.splitlines() if line.startswith("VMAF")).split()
    assert 0 <= float(line[1]) <= 100
