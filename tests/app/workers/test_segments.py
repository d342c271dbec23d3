"""A clip in segments in the player: int8 of a later one shows how far it is, and closing waits for nothing."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from app.core.sources import parse_source
from app.workers.opening import open_any
from nervplay.bitstream import read_nerv, write_nerv
from nervplay.decode.native.library import load


@pytest.fixture
def in_segments(small_nerv: Path, tmp_path: Path) -> Path:
    """The small clip three times, one behind the other."""
    file = read_nerv(small_nerv)
    count = file.video.frame_count
    part = file.segments[0]
    path = tmp_path / "segments.nerv"
    write_nerv(
        path,
        replace(
            file,
            video=replace(file.video, frame_count=3 * count, rate=Fraction(25)),
            config=dict(file.config) | {"frame_count": 3 * count},
            segments=tuple(replace(part, first_frame=number * count, frame_count=count) for number in range(3)),
            audio=None,
        ),
    )
    return path


def test_int8_of_a_later_segment_is_shown(
    qtbot, make_engine, in_segments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load()  # kernels come from the cache that was there before
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    player = make_engine(opener=open_any, metrics=False)
    slot, told = player.slots[0], []
    player.open(slot, parse_source(str(in_segments)), precision="int8")
    qtbot.waitUntil(lambda: slot.is_open and 0 in slot.cache, timeout=60_000)
    assert not player.message, "opening is over, and so is what was said of it"
    player.events.on("preparing", lambda: told.append(slot.preparing))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))  # equal segments share their calibration
    last = slot.facts.spec.frame_count - 1
    player.seek(last)
    qtbot.waitUntil(lambda: last in slot.cache, timeout=60_000)
    qtbot.waitUntil(lambda: bool(told) and told[-1] == ("", 0.0), timeout=60_000)
    parts = [part for name, part in told if name == "int8"]
    assert parts
    assert parts == sorted(parts)
