"""Re-encodes at a size: as near as whole quality steps allow, kept for the next time, stopped on request."""

import threading
from pathlib import Path

import pytest

from app.workers.anchors import anchor_folder, encode_at_size
from ffmpeg_bridge import open_source
from nervplay.errors import CapabilityError, Interrupted


def encode(clip: Path, size: int, cancelled: threading.Event | None = None, heard: list | None = None) -> Path:
    with open_source(clip) as source:
        said = heard if heard is not None else []
        return encode_at_size(source, "libx264", size, cancelled or threading.Event(), said.append)


def test_size_and_second_time(small_clip: Path) -> None:
    heard: list[str] = []
    path = encode(small_clip, 4000, heard=heard)
    assert path.stat().st_size <= 4000
    assert path.parent == anchor_folder()
    assert heard
    assert all("libx264" in words for words in heard)
    again: list[str] = []
    assert encode(small_clip, 4000, heard=again) == path
    assert again == []
    larger = encode(small_clip, 9000)
    assert 4000 < larger.stat().st_size <= 9000


def test_too_small(small_clip: Path) -> None:
    with pytest.raises(CapabilityError, match="at its worst"):
        encode(small_clip, 100)
    assert list(anchor_folder().glob("*.part*")) == []


def test_stopped(small_clip: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        encode(small_clip, 5000, stop)
    assert not [path for path in anchor_folder().iterdir() if "part" in path.name or "try" in path.name]
