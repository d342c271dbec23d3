"""Folders of pictures as clips."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from nervplay.errors import FrameIndexError, MissingInputError, UsageError, VideoInputError
from nervplay.video import FrameSource, ImageFolderSource


def picture(level, size=(12, 8)):
    return Image.new("RGB", size, (level, 255 - level, 7))


@pytest.fixture
def folder(tmp_path):
    for number in (1, 2, 10):
        picture(number).save(tmp_path / f"f{number}.png")
    (tmp_path / "notes.txt").write_text("no frame")
    (tmp_path / ".hidden.png").write_bytes(b"no frame")
    return tmp_path


def order_of(source):
    return [int(frame[0, 0, 0]) for frame in source.frames()]


def test_pictures_become_frames(folder):
    source = ImageFolderSource(folder, Fraction(30000, 1001))
    assert isinstance(source, FrameSource)
    assert (len(source), source.spec.width, source.spec.height) == (3, 12, 8)
    assert source.spec.rate == Fraction(30000, 1001)
    assert source.spec.colour.matrix == "smpte170m"
    assert ImageFolderSource(folder).spec.rate == 25
    frame = source.frame(0)
    assert frame.dtype == np.uint8
    assert frame.shape == (8, 12, 3)
    assert frame.flags.writeable
    assert frame[3, 4].tolist() == [1, 254, 7]
    with pytest.raises(FrameIndexError):
        source.frame(3)


def test_order(folder):
    assert order_of(ImageFolderSource(folder)) == [1, 10, 2]
    assert order_of(ImageFolderSource(folder, order="natural")) == [1, 2, 10]


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "webp", "bmp", "tif", "tiff", "PNG"])
def test_kinds_of_files(tmp_path, suffix):
    picture(100).save(tmp_path / f"a.{suffix}")
    frame = ImageFolderSource(tmp_path).frame(0)
    assert np.abs(frame.astype(int) - [100, 155, 7]).max() <= 12


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (Image.new("L", (4, 4), 90), [90, 90, 90]),
        (Image.new("RGBA", (4, 4), (90, 1, 2, 128)), [90, 1, 2]),
        (Image.new("RGB", (4, 4), (90, 1, 2)).quantize(4), [90, 1, 2]),
    ],
    ids=["grey", "alpha", "palette"],
)
def test_grey_alpha_and_palettes(tmp_path, picture, expected):
    picture.save(tmp_path / "a.png")
    assert ImageFolderSource(tmp_path).frame(0)[1, 1].tolist() == expected


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(MissingInputError, match="is no folder"):
        ImageFolderSource(tmp_path / "nothing")
    with pytest.raises(VideoInputError, match=r"holds no pictures; .*\.png"):
        ImageFolderSource(tmp_path)


def test_pictures_of_two_sizes(folder):
    picture(3, (12, 9)).save(folder / "f3.png")
    with pytest.raises(VideoInputError, match=r"f3\.png is 12x9 but f1\.png is 12x8"):
        ImageFolderSource(folder)


def test_deep_pictures_are_refused(tmp_path):
    Image.fromarray(np.full((4, 4), 40000, np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(VideoInputError, match="8 bits"):
        ImageFolderSource(tmp_path)


def test_no_picture_under_a_picture_name(tmp_path):
    (tmp_path / "a.png").write_bytes(b"hello")
    with pytest.raises(VideoInputError, match=r"a\.png is no readable picture"):
        ImageFolderSource(tmp_path)


def test_damaged_picture_is_named(folder):
    source = ImageFolderSource(folder)
    whole = (folder / "f10.png").read_bytes()
    (folder / "f10.png").write_bytes(whole[: len(whole) // 2])
    assert source.frame(0) is not None
    with pytest.raises(VideoInputError, match=r"frame 1, .*f10\.png, cannot be read"):
        source.frame(1)
    picture(9, (5, 5)).save(folder / "f10.png")
    with pytest.raises(VideoInputError, match="changed its size"):
        source.frame(1)


def test_closed(folder):
    with ImageFolderSource(folder) as source:
        pass
    with pytest.raises(UsageError, match="closed"):
        source.frame(0)
