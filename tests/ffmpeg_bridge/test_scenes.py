"""Scene cuts: found where pictures change, not where they move."""

from pathlib import Path

import numpy as np

from ffmpeg_bridge.reader import open_source
from ffmpeg_bridge.scenes import scene_cuts
from nervplay.video.source import ArraySource


def test_cuts_are_found_and_motion_is_none(clip: Path) -> None:
    with open_source(clip) as source:
        frames = np.stack([frame[::4, ::4] for frame in source.frames(range(0, 40, 2))])
    assert scene_cuts(ArraySource(frames)) == {}
    mixed = np.concatenate([frames[:7], 255 - frames[7:12], frames[12:]])
    seen: list[int] = []
    cuts = scene_cuts(ArraySource(mixed), progress=seen.append)
    assert list(cuts) == [7, 12]
    assert all(10 <= score <= 100 for score in cuts.values())
    assert seen == list(range(1, 21))
    assert scene_cuts(ArraySource(mixed), threshold=99.0) == {}
