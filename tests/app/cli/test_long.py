"""`nervplay encode --segments`: cut, fitted by either engine, stopped, killed, resumed, played."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from app.encoding.parts import parts_folder
from nervplay.bitstream import peek_nerv, read_nerv
from nervplay.decode import open_decoder

TINY = ("--preset", "hnerv-tiny")


def spans(path: Path) -> list[tuple[int, int, int, int]]:
    return [(s.first_frame, s.frame_count, s.lead, s.tail) for s in peek_nerv(path).segments]


def test_equal_parts(nervplay, small_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    cut = ("--segments", "3", "--overlap", "1")
    parts_folder(target).mkdir()  # of a run that was killed before it began
    ran = nervplay("encode", small_clip, target, *TINY, "--epochs", "2", *cut, "--calibrate", "--json")
    assert ran.code == 0, ran.err
    assert set(read_nerv(target).extras) == {"x.int8.0000", "x.int8.0001", "x.int8.0002"}
    assert json.loads(ran.out)["file_bytes"] == target.stat().st_size
    assert spans(target) == [(0, 3, 0, 1), (3, 3, 1, 1), (6, 4, 1, 0)]
    assert [path.name for path in tmp_path.iterdir()] == ["a.nerv"]
    report = json.loads(nervplay("eval", target, small_clip, "--json", "--device", "cpu").out)
    assert json.loads(ran.out)["psnr_db"] == pytest.approx(report["metrics"]["psnr"]["mean"])
    assert peek_nerv(target).recipe["psnr_db"] == pytest.approx(report["metrics"]["psnr"]["mean"], abs=0.006)
    facts = json.loads(nervplay("info", target, "--json").out)
    assert [part["frame_count"] for part in facts["segments"]] == [3, 3, 4]
    assert "3 of 3 to 4 frames, 4 frames blended at seams" in nervplay("info", target).out
    assert nervplay("compress", target, tmp_path / "b.nerv", "--bits", "5").code == 0
    assert (tmp_path / "b.nerv").stat().st_size < target.stat().st_size
    assert nervplay("export", target, tmp_path / "a.mp4").code == 0
    with av.open(str(tmp_path / "a.mp4")) as exported:
        assert (len(list(exported.decode(video=0))), len(exported.streams.audio)) == (10, 1)


def test_scene_cuts(nervplay, tmp_path: Path) -> None:
    source = tmp_path / "cut.mp4"
    noise = np.random.default_rng(1).integers(0, 255, (2, 48, 64, 3), dtype=np.uint8)
    with av.open(str(source), "w") as output:
        video = output.add_stream("libx264", rate=10, options={"crf": "10"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for number in range(22):
            output.mux(video.encode(av.VideoFrame.from_ndarray(noise[int(number >= 12)], format="rgb24")))
        output.mux(video.encode(None))
    target = tmp_path / "a.nerv"
    how = ("--segments", "auto", "--segment-seconds", "0.8", "--overlap", "2")
    assert nervplay("encode", source, target, *TINY, "--epochs", "1", *how).code == 0
    assert spans(target) == [(0, 6, 0, 2), (6, 6, 2, 0), (12, 5, 0, 2), (17, 5, 2, 0)]
    ran = nervplay("encode", source, tmp_path / "b.nerv", *TINY, "--epochs", "1", *how, "--batch", "8")
    assert ran.code == 2
    assert "batch size 8 is more than the 7 frames of the clip" in ran.error
    assert not parts_folder(tmp_path / "b.nerv").exists(), "told before the first segment is fitted, of 8 frames"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--segments", "many"), 2, "neither a number nor auto"),
        (("--segments", "11"), 2, "10 frames cannot be cut into 11 segments; take 1 to 10"),
        (("--segments", "0"), 2, "cannot be cut into 0 segments"),
        (("--engine", "ray", "--ray-address", "127.0.0.1:1"), 6, "no Ray cluster at '127.0.0.1:1'"),
    ],
)
def test_refused(nervplay, *, small_clip: Path, tmp_path: Path, arguments, code: int, words: str) -> None:
    ran = nervplay("encode", small_clip, tmp_path / "a.nerv", *TINY, "--epochs", "1", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert words in ran.error
    assert list(tmp_path.iterdir()) == [], "nothing gets in the way of the next command"


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.02)


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_killed_and_resumed_is_the_same_file(
    nervplay, start: Callable[..., subprocess.Popen[bytes]], small_clip: Path, tmp_path: Path, engine: str
) -> None:
    """SIGKILL of the program while the second segment is fitted; what is finished is not fitted again."""
    pytest.importorskip("ray")
    how = (*TINY, "--epochs", "12", "--segments", "3", "--save-every", "0.05", "--engine", engine)
    target = tmp_path / "a.nerv"
    folder = parts_folder(target)
    process = start("encode", small_clip, target, *how)
    wait_for(folder / "0000.nerv", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not target.exists()
    first = (folder / "0000.nerv").stat().st_mtime_ns
    refused = nervplay("encode", small_clip, target, *how)
    assert refused.code == 4
    assert "add --resume to go on, or --overwrite" in refused.error
    last = start("encode", small_clip, target, *how, "--resume")
    wait_for(folder / "0001.nerv", last)
    assert (folder / "0000.nerv").stat().st_mtime_ns == first
    _, errors = last.communicate()
    assert last.returncode == 0, errors
    assert not folder.exists()
    local = (*how[:-1], "local")
    assert nervplay("encode", small_clip, tmp_path / "whole.nerv", *local).code == 0
    assert target.read_bytes() == (tmp_path / "whole.nerv").read_bytes()


@pytest.mark.slow
def test_ten_minutes(nervplay, tmp_path: Path) -> None:
    """2,400 frames of ten minutes in 60 segments: fitted, and any frame found by opening one network."""
    source = tmp_path / "long.mp4"
    rows, columns = np.mgrid[:32, :48]
    with av.open(str(source), "w") as output:
        video = output.add_stream("libx264", rate=4, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        for number in range(2400):
            picture = np.stack((5 * columns + number, 7 * rows, 0 * rows + number // 10), axis=2).astype(np.uint8)
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(video.encode(None))
    target = tmp_path / "long.nerv"
    how = ("--epochs", "1", "--segments", "auto", "--segment-seconds", "10")
    assert nervplay("encode", source, target, *TINY, *how).code == 0
    header = peek_nerv(target)
    assert header.video.duration == Fraction(600)
    assert len(header.segments) >= 60
    with open_decoder(target, device="cpu") as decoder:
        for index in (2399, 0, 1201, 17, 1777):
            assert decoder.frame(index).shape == (32, 48, 3)
