"""What comes behind a file that was made: its PSNR, its calibration, and that nothing of it can cost the file."""

from pathlib import Path

import pytest

from app.cli.work.decoding import CalibrationBar
from app.cli.work.finishing import finish
from nervplay.bitstream import NervFile, read_nerv, write_nerv
from nervplay.decode.native.library import load


@pytest.fixture
def made(small_nerv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, NervFile]:
    """A file that was just written, and an empty cache."""
    load()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    target, file = tmp_path / "a.nerv", read_nerv(small_nerv)
    write_nerv(target, file)
    return target, file


def test_psnr_and_calibration_are_added(made: tuple[Path, NervFile], capfd: pytest.CaptureFixture[str]) -> None:
    target, file = made
    assert finish(target, file, psnr_db=31.234) == target.stat().st_size
    assert (read_nerv(target).recipe["psnr_db"], read_nerv(target).extras) == (31.23, {})
    assert finish(target, file, psnr_db=None, calibrate=True) == target.stat().st_size
    found = read_nerv(target)
    assert "psnr_db" not in found.recipe
    assert set(found.extras) == {"x.int8.0000"}
    assert "with the calibration of int8: " in capfd.readouterr().err


def test_a_calibration_that_does_not_fit_is_left_out(
    made: tuple[Path, NervFile], capfd: pytest.CaptureFixture[str]
) -> None:
    target, file = made
    most = finish(target, file, psnr_db=31.234) + 10
    assert finish(target, file, psnr_db=31.234, calibrate=True, most_bytes=most) == target.stat().st_size <= most
    assert read_nerv(target).extras == {}
    assert "was left out" in capfd.readouterr().err


def test_an_interrupted_calibration_costs_nothing(
    made: tuple[Path, NervFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, file = made

    def interrupted(_bar: CalibrationBar, done: int, _total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(CalibrationBar, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        finish(target, file, psnr_db=30.0, calibrate=True)
    assert read_nerv(target).recipe["psnr_db"] == 30.0
    assert read_nerv(target).extras == {}
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.nerv"]


def test_where_nothing_computes_in_integers_the_file_stays(nervplay, small_clip: Path, tmp_path: Path) -> None:
    other = tmp_path / "ffnerv.nerv"
    ran = nervplay("encode", small_clip, other, "--preset", "ffnerv-tiny", "--epochs", "1", "--calibrate")
    assert ran.code == 0, ran.err
    assert "there is nothing to calibrate here: " in ran.err
    assert read_nerv(other).extras == {}
