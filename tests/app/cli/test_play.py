"""`nervplay play`: wrong calls are refused before a window opens; a screenshot shows what was asked for."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["none.mp4"], 3, "does not exist"),
        (["a", "b", "c", "d", "e"], 2, "at most four"),
        (["--mode", "fly"], 2, "not a view mode"),
        (["--precision", "fp3"], 2, "did you mean fp32"),
        (["--canvas", "hard"], 2, "unknown canvas"),
        (["--screenshot", "a.jpg"], 2, "must end with .png"),
        (["--screenshot", "none/a.png"], 4, "does not exist"),
        (["hf://user"], 2, "must be user/name"),
        (["none.nvsession"], 3, "cannot be opened"),
    ],
)
def test_refused(nervplay, monkeypatch, *, tmp_path: Path, arguments, code: int, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    ran = nervplay("play", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert words in ran.error


def test_no_display(nervplay, monkeypatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    ran = nervplay("play")
    assert (ran.code, ran.out) == (6, "")
    assert "no display" in ran.error


def test_screenshot(start, small_clip: Path, small_nerv: Path, tmp_path: Path, monkeypatch) -> None:
    for name in ("QT_QPA_PLATFORM", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, "offscreen" if name.startswith("QT") else str(tmp_path / "config"))
    target = tmp_path / "view.png"
    view = ("--mode", "side", "--frame", "6", "--precision", "int8")
    options = (*view, "--size", "1200x700", "--device", "cpu", "--screenshot", target)
    ran = start("play", small_clip.name, small_nerv, *options, cwd=small_clip.parent)
    _, errors = ran.communicate(timeout=120)
    assert ran.returncode == 0, errors
    with Image.open(target) as picture:
        assert picture.size == (1200, 700)
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 500
    settings = json.loads((tmp_path / "config" / "nervplay" / "player.json").read_text())
    assert set(settings["recent"]) == {str(small_clip), str(small_nerv)}, "where they lie, for another folder"
    assert settings["device"] == "auto", "options hold for one run"
    assert list(settings["window"]) == ["state"], "and so does the window's size"
    assert os.environ["QT_QPA_PLATFORM"] == "offscreen"


def test_quit_after(start, small_clip: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    target = tmp_path / "view.png"
    ran = start("play", small_clip, "--quit-after", "0.01", "--canvas", "soft", "--screenshot", target)
    _, errors = ran.communicate(timeout=60)
    assert ran.returncode == 0, errors
    assert target.is_file(), "the window as it was then"
