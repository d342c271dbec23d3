"""A clip meets its neural video: cut as recorded, taken as it is where it fits; what a file says is not believed."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.core.clips import open_original, recorded_transform, sound_span, source_record
from nervplay.errors import BitstreamError, GeometryError, MissingInputError
from nervplay.video import FrameTransform, VideoSpec

RECORD = source_record(Path("/somewhere/clip.mp4"), FrameTransform(crop=(16, 8), frames=(2, 5)))


def spec(width: int, height: int, frame_count: int) -> VideoSpec:
    return VideoSpec(width=width, height=height, frame_count=frame_count, rate=Fraction(25))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Seven pictures of 20x12; every sample of picture i is 10 i."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(7):
        Image.fromarray(np.full((12, 20, 3), 10 * number, np.uint8)).save(folder / f"{number}.png")
    return folder


def test_the_record_reads_back_and_names_no_folder() -> None:
    assert RECORD["name"] == "clip.mp4"
    assert recorded_transform(RECORD) == FrameTransform(crop=(16, 8), frames=(2, 5))
    assert recorded_transform({}) == FrameTransform()


@pytest.mark.parametrize("kept", [3, [1], {"zoom": [1, 2]}, {"crop": "1x2"}, {"frames": [5, 2]}, {"crop": [0, 3]}])
def test_a_record_is_not_believed(kept: Any) -> None:
    with pytest.raises(BitstreamError, match="record of its source is not sound"):
        recorded_transform({"transform": kept})


def test_a_longer_clip_is_cut_as_recorded(pictures: Path) -> None:
    with open_original(pictures, RECORD, spec(16, 8, 3)) as source:
        assert (source.spec.width, source.spec.height, len(source)) == (16, 8, 3)
        assert [int(frame[0, 0, 0]) for frame in source.frames()] == [20, 30, 40]


def test_a_clip_that_fits_is_taken_as_it_is(pictures: Path) -> None:
    with open_original(pictures, RECORD, spec(20, 12, 7)) as source:
        assert int(source.frame(0)[0, 0, 0]) == 0


def test_a_clip_that_fits_neither_way(pictures: Path) -> None:
    with pytest.raises(GeometryError, match="20x12"):
        open_original(pictures, RECORD, spec(32, 8, 3))
    with pytest.raises(MissingInputError):
        open_original(pictures / "none", RECORD, spec(16, 8, 3))


def test_where_the_sound_begins(pictures: Path) -> None:
    assert sound_span(pictures, RECORD, spec(16, 8, 3)) == (Fraction(2, 25), Fraction(3, 25))
    assert sound_span(pictures, RECORD, spec(16, 8, 7)) == (0, None)
    assert sound_span(pictures, {}, spec(16, 8, 3)) == (0, Fraction(3, 25))
