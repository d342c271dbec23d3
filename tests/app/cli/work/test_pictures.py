"""Poster and preview: of the right kind, small enough whatever the clip, and like the frames they are made of."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from app.cli.work.pictures import make_poster, make_preview
from ffmpeg_bridge import open_source
from nervplay.errors import OutputError
from nervplay.video import ArraySource

NOISE = np.random.default_rng(1).integers(0, 256, (12, 90, 161, 3), dtype=np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack((rows % 256, columns % 256, (rows + columns) // 8 % 256), axis=2).astype(np.uint8)


def test_a_poster_is_webp_and_like_its_frame() -> None:
    frame = smooth(90, 160)
    with Image.open(io.BytesIO(make_poster(frame))) as picture:
        assert (picture.format, picture.size) == ("WEBP", (160, 90))
        assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - frame).mean() < 8


def test_a_large_frame_is_scaled() -> None:
    with Image.open(io.BytesIO(make_poster(smooth(1080, 1920)))) as picture:
        assert picture.size == (960, 540)


def test_a_poster_gives_up_quality_before_size() -> None:
    free, held = make_poster(NOISE[0]), make_poster(NOISE[0], limit=8000)
    assert len(held) <= 8000 < len(free)
    with pytest.raises(OutputError, match="no poster of at most 50 bytes"):
        make_poster(NOISE[0], limit=50)


def test_a_preview_is_a_silent_h264_video_of_the_first_ten_seconds(tmp_path: Path) -> None:
    frames = np.stack([np.full((90, 161, 3), 10 * number, np.uint8) for number in range(12)])
    told: list[tuple[int, int]] = []
    source = ArraySource(frames, rate=Fraction(1))
    path = tmp_path / "preview.mp4"
    path.write_bytes(make_preview(source, progress=lambda *state: told.append(state)))
    with av.open(str(path)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.video[0].pix_fmt == "yuv420p"
    with open_source(path) as preview:
        assert (len(preview), preview.spec.rate) == (10, 1)
        assert (preview.spec.width, preview.spec.height) == (160, 90), "sides are even"
        assert abs(preview.frame(5).astype(int).mean() - 50) < 4
    assert told[-1] == (10, 10)
    source.frame(11)  # still open


def test_a_large_clip_is_scaled(tmp_path: Path) -> None:
    path = tmp_path / "preview.mp4"
    path.write_bytes(make_preview(ArraySource(smooth(720, 1280)[None])))
    with open_source(path) as preview:
        assert (preview.spec.width, preview.spec.height) == (640, 360)


def test_a_preview_gives_up_quality_before_size() -> None:
    free, held = make_preview(ArraySource(NOISE)), make_preview(ArraySource(NOISE), limit=30_000)
    assert len(held) <= 30_000 < len(free)
    with pytest.raises(OutputError, match="no preview of at most 100 bytes"):
        make_preview(ArraySource(NOISE[:2]), limit=100)
