"""Targets of `nervplay encode`: the file is as small or as good as was asked for."""

import json
from pathlib import Path

import pytest

from nervplay.bitstream import peek_nerv, read_nerv

QUICK = ("--epochs", "4", "--audio", "none", "--device", "cpu")


def test_a_size_in_bytes_is_kept(nervplay, small_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    ran = nervplay(
        "encode", small_clip, target, "--arch", "hnerv", "--target-bytes", "30000", *QUICK, "--calibrate", "--json"
    )
    assert ran.code == 0, ran.err
    assert set(read_nerv(target).extras) == {"x.int8.0000"}, "there is room for it"
    assert 0.8 * 30000 < target.stat().st_size <= 30000
    assert "chosen: " in ran.err
    summary = json.loads(ran.out)
    assert summary["preset"] is None
    recipe = peek_nerv(target).recipe
    assert recipe["bits"] in (6, 7, 8)
    assert recipe["psnr_db"] == pytest.approx(summary["psnr_db"], abs=0.006)
    assert [path.name for path in tmp_path.iterdir()] == ["a.nerv"]


def test_a_quality_out_of_reach_gives_the_best_file(nervplay, small_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    goal = ("--arch", "hnerv", "--target-psnr", "79", "--epochs", "1", "--audio", "none", "--frames", "0:4")
    ran = nervplay("encode", small_clip, target, *goal)
    assert ran.code == 0, ran.err
    assert "no network that was tried reaches 79 dB" in ran.err
    assert target.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--arch", "hnerv", "--target-bytes", "9", "--target-bpp", "1"), "give one of them"),
        (("--arch", "hnerv", "--size", "60k", "--target-bpp", "1"), "neither --size nor --preset"),
        (("--preset", "hnerv-tiny", "--target-bpp", "1"), "give --arch with it"),
        (("--arch", "hnerv", "--target-bpp", "1", "--segments", "2"), "leave --segments and --engine out"),
        (("--arch", "hnerv", "--target-bytes", "500"), "no more than the"),
    ],
)
def test_what_cannot_be_is_refused(nervplay, small_clip: Path, tmp_path: Path, options, message: str) -> None:
    ran = nervplay("encode", small_clip, tmp_path / "a.nerv", *options)
    assert ran.code == 2
    assert message in ran.error
