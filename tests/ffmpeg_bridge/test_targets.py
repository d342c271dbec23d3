"""Endings of exports."""

from pathlib import Path

import av
import pytest

from ffmpeg_bridge.targets import EXPORT_SUFFIXES, find_target
from nervplay.errors import UsageError


def test_every_container_is_one_that_ffmpeg_writes():
    assert EXPORT_SUFFIXES == (".mp4", ".mov", ".mkv", ".webm", ".gif", ".png")
    for suffix in EXPORT_SUFFIXES[:-1]:
        assert av.format.ContainerFormat(find_target(Path(f"a{suffix.upper()}")).container, "w").is_output
    assert not find_target(Path("a.gif")).sound


def test_another_ending():
    with pytest.raises(UsageError, match=r"a\.avi ends in '\.avi'"):
        find_target(Path("a.avi"))
