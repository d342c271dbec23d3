"""Endings of exports."""

from pathlib import Path

import av
import pytest

from ffmpeg_bridge.targets import _TARGETS, find_target
from nervplay.choices import EXPORT_SUFFIXES
from nervplay.errors import UsageError


def test_every_container_is_one_that_ffmpeg_writes():
    assert tuple(_TARGETS) == EXPORT_SUFFIXES
    for suffix in EXPORT_SUFFIXES[:-1]:
        assert av.format.ContainerFormat(find_target(Path(f"a{suffix.upper()}")).container, "w").is_output
    assert not find_target(Path("a.gif")).sound


def test_another_ending():
    with pytest.raises(UsageError, match=r"a\.avi ends in '\.avi'"):
        find_target(Path("a.avi"))
