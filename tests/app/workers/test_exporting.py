"""An export in a child process: written with progress, cancelled without a trace, refused in words."""

from pathlib import Path

import av
import pytest

from app.workers.exporting import ExportJob


def job(nerv: Path, target: Path, **more) -> dict:
    usual = {"beside": None, "layout": "", "encoder": "libx264", "crf": 20, "precision": "fp32", "device": "cpu"}
    return {"file": str(nerv), "target": str(target), **usual, **more}


def run(qtbot, work: dict, timeout: int = 60_000) -> tuple[bool, str, list]:
    export = ExportJob(work)
    heard: list = []
    export.progressed.connect(lambda done, total: heard.append((done, total)))
    with qtbot.waitSignal(export.ended, timeout=timeout) as ended:
        export.start()
    return *ended.args, heard


def test_written(qtbot, small_nerv: Path, small_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    ok, message, heard = run(qtbot, job(small_nerv, target, beside=str(small_clip), layout="side-by-side"))
    assert ok, message
    assert heard[-1] == (10, 10)
    assert "10 frames, sound: aac" in message
    with av.open(str(target)) as container:
        assert container.streams.video[0].width == 128
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_refused(qtbot, small_nerv: Path, tmp_path: Path) -> None:
    ok, message, _ = run(qtbot, job(small_nerv, tmp_path / "a.mp4", encoder="libx999"))
    assert not ok
    assert "libx999" in message


@pytest.fixture
def long_job(clip: Path, tmp_path: Path) -> dict:
    return job(clip.parent / "bunny-320x180.nerv", tmp_path / "long.mp4")


def test_cancelled(qtbot, long_job: dict, tmp_path: Path) -> None:
    export = ExportJob(long_job)
    with qtbot.waitSignal(export.progressed, timeout=60_000):
        export.start()
    with qtbot.waitSignal(export.ended, timeout=20_000) as ended:
        export.cancel()
    assert ended.args == [False, "the export was cancelled; nothing was written"]
    assert list(tmp_path.iterdir()) == []


def test_the_window_closes(qtbot, long_job: dict, tmp_path: Path) -> None:
    export = ExportJob(long_job)
    with qtbot.waitSignal(export.progressed, timeout=60_000):
        export.start()
    export.wait()
    assert not export.running
    assert list(tmp_path.iterdir()) == []


# HNeRV's is opened by the same function in test_opening.py
@pytest.mark.parametrize("official", ["nerv", pytest.param("hnerv", marks=pytest.mark.slow)], indirect=True)
def test_an_official_checkpoint(qtbot, official, tmp_path: Path) -> None:
    work = job(official.path, tmp_path / "a.mp4", official=official.arguments, reference=None)
    ok, message, heard = run(qtbot, work)
    assert ok, message
    count = official.frame_count
    assert heard[-1] == (count, count)
    assert f"{count} frames, sound: none" in message
