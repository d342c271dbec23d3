"""`nervplay demo`: the four files, the table, the next steps; again into the same folder; without a sample."""

import csv
import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from app.cli import demo
from app.core import Sample, find_sample
from nervplay.errors import MissingInputError
from nervplay.video import contact_sheet

FILES = ["contact-sheet.png", "metrics.csv", "metrics.json", "side-by-side.mp4"]


@pytest.fixture
def small_sample(small_nerv: Path, small_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "find_sample", lambda: Sample(small_nerv, small_clip))


@pytest.mark.usefixtures("small_sample")
def test_files_and_table(nervplay, small_nerv: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "demo"
    for _ in range(2):
        ran = nervplay("demo", "-o", folder)
        assert ran.code == 0, ran.err
        assert sorted(path.name for path in folder.iterdir()) == FILES
    report = json.loads((folder / "metrics.json").read_text())
    rows = list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))
    assert np.mean([float(row["psnr_db"]) for row in rows]) == pytest.approx(
        report["metrics"]["psnr"]["mean"], abs=1e-5
    )
    assert f"{report['metrics']['psnr']['mean']:.2f}" in ran.out
    assert report["file_bytes"] == small_nerv.stat().st_size
    with av.open(str(folder / "side-by-side.mp4")) as container:
        video = container.streams.video[0]
        assert (video.width, video.height, video.frames) == (128, 48, 10)
        assert container.streams.audio
    sheet = np.asarray(Image.open(folder / "contact-sheet.png"))
    assert sheet.shape[0] > 3 * 240
    assert sheet.std() > 10
    assert "Blender Foundation" in ran.err
    assert "nervplay encode" in ran.err


@pytest.mark.usefixtures("small_sample")
def test_the_sheet_shows_the_whole_clip(nervplay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheets = []

    def spy(rows, headings, **options):
        sheets.append((rows, headings))
        return contact_sheet(rows, headings, **options)

    monkeypatch.setattr("app.cli.work.demo.contact_sheet", spy)
    assert nervplay("demo", "-o", tmp_path).code == 0
    ((rows, headings),) = sheets
    assert headings == ["frame 0", "frame 2", "frame 4", "frame 6", "frame 9"]
    # the bright square of the source walks to the right, 5 columns a frame
    starts = [int(np.argmax(frame[24, :, 1].astype(int) > 200)) for frame in rows["source"]]
    assert starts == pytest.approx([0, 10, 20, 30, 45], abs=2)


@pytest.mark.usefixtures("small_sample")
def test_a_folder_that_cannot_be(nervplay, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    for folder in (tmp_path / "file", tmp_path / "file" / "demo"):
        ran = nervplay("demo", "-o", folder)
        assert (ran.code, ran.out) == (4, "")
        assert "cannot be made" in ran.error
    assert (tmp_path / "file").read_bytes() == b"old"


def test_without_a_sample(nervplay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "find_sample", lambda: find_sample([tmp_path]))
    ran = nervplay("demo", "-o", tmp_path / "demo")
    assert ran.code == MissingInputError.exit_code
    assert "nervplay encode" in ran.error
    assert not (tmp_path / "demo").exists()


@pytest.mark.slow
def test_the_bundled_sample(nervplay, tmp_path: Path) -> None:
    """All 132 frames in at most 400 kB at 31 dB or more, with the source's sound and the tags of an HD clip."""
    sample = find_sample()
    assert sample.video.stat().st_size <= 400_000
    assert nervplay("demo", "-o", tmp_path).code == 0
    report = json.loads((tmp_path / "metrics.json").read_text())
    assert report["metrics"]["psnr"]["mean"] >= 31
    with av.open(str(tmp_path / "side-by-side.mp4")) as container:
        video = container.streams.video[0]
        context = video.codec_context
        assert (video.width, video.height, video.frames) == (640, 180, 132)
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        assert container.streams.audio[0].codec_context.name == "aac"
        assert float(video.duration * video.time_base) == pytest.approx(5.28)
