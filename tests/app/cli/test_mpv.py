"""`nervplay mpv`: the real mpv with neural files."""

import shutil
from pathlib import Path

import pytest

MPV = shutil.which("mpv")
QUIET = ("--no-config", "--vo=null", "--ao=null", "--untimed", "--really-quiet", "--no-input-terminal")


@pytest.mark.skipif(MPV is None, reason="mpv is not installed (apt-get install mpv)")
def test_plays_to_the_end(nervplay, small_nerv: Path, small_clip: Path, tmp_path: Path) -> None:
    shutil.copy(small_nerv, tmp_path / "it's 日本.nerv")
    ran = nervplay("mpv", "--device", "cpu", *QUIET, tmp_path / "it's 日本.nerv", small_clip)
    assert (ran.code, ran.out, ran.err) == (0, "", "")


@pytest.mark.skipif(MPV is None, reason="mpv is not installed (apt-get install mpv)")
def test_its_own_errors(nervplay, small_nerv: Path) -> None:
    ran = nervplay("mpv", *QUIET, "--no-such-option", small_nerv)
    assert ran.code == 1


def test_refused(nervplay, tmp_path: Path, small_nerv: Path) -> None:
    assert nervplay("mpv").code == 2
    assert nervplay("mpv", "--program", "no-such-mpv", small_nerv).code == 6
    assert nervplay("mpv", "--program", "true", tmp_path / "none.nerv").code == 3
