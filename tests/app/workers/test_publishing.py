"""What a page shows, made by a child process: figures, poster, preview; stopped without a trace."""

import io
import tempfile
from pathlib import Path

import av
import pytest
from PIL import Image
from PySide6.QtCore import QObject

from app.core.publishing import Looks, Preview, PushForm
from app.workers.publishing import start_looks
from nervplay.metrics import evaluate


class Heard:
    def __init__(self) -> None:
        self.looks: Looks | None = None
        self.message = ""
        self.steps: list[tuple[str, int, int]] = []

    def progressed(self, what: str, done: int, total: int) -> None:
        self.steps.append((what, done, total))

    def prepared(self, looks: Looks) -> None:
        self.looks = looks

    def failed(self, message: str) -> None:
        self.message = message


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Heard:
    """Temporary folders are made in `tmp_path`, so that what is left behind can be seen."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Heard()


def test_figures_and_pictures(qtbot, heard: Heard, small_nerv: Path, small_clip: Path, *, tmp_path: Path) -> None:
    from ffmpeg_bridge import open_source
    from nervplay.decode import open_decoder

    form = PushForm(file=small_nerv, repository="a/b", source=small_clip, preview=Preview.BESIDE, device="cpu")
    parent = QObject()
    start_looks(parent, form, heard)
    qtbot.waitUntil(lambda: heard.looks is not None or bool(heard.message), timeout=60_000)
    assert heard.message == ""
    with open_decoder(small_nerv, device="cpu") as decoder, open_source(small_clip) as source:
        report = evaluate(decoder, source, small_nerv.stat().st_size, metrics=("psnr",))
    assert heard.looks.psnr == pytest.approx(report.metrics["psnr"].mean)
    assert heard.looks.ms_ssim is None, "48 lines are too few for it"
    assert Image.open(io.BytesIO(heard.looks.poster)).size == (128, 48)
    with av.open(io.BytesIO(heard.looks.preview)) as container:
        assert container.streams.video[0].frames == 10
    assert ("measuring", 10, 10) in heard.steps
    assert heard.steps[-1] == ("making a preview", 10, 10)
    assert list(tmp_path.iterdir()) == []


def test_refused(qtbot, heard: Heard, tmp_path: Path) -> None:
    (tmp_path / "bad.nerv").write_bytes(b"no")
    parent = QObject()
    start_looks(parent, PushForm(file=tmp_path / "bad.nerv", repository="a/b"), heard)
    qtbot.waitUntil(lambda: bool(heard.message), timeout=60_000)
    assert "bad.nerv" in heard.message
    assert heard.looks is None


def test_stopped(qtbot, heard: Heard, clip: Path, tmp_path: Path) -> None:
    parent = QObject()
    form = PushForm(file=clip.parent / "bunny-320x180.nerv", repository="a/b", device="cpu")
    stop = start_looks(parent, form, heard)
    qtbot.waitUntil(lambda: bool(heard.steps), timeout=60_000)
    stop(wait=False)
    stop(wait=True)
    assert (heard.looks, heard.message) == (None, "")
    assert list(tmp_path.iterdir()) == []
