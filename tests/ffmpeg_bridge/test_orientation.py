"""Display matrices: written by PyAV, read by us, checked against numpy's turns."""

import av
import numpy as np
import pytest

from ffmpeg_bridge import open_source
from ffmpeg_bridge.orientation import Orientation
from nervplay.errors import VideoInputError

PICTURE = np.random.default_rng(0).integers(0, 256, (2, 4, 3), np.uint8).repeat(16, 0).repeat(16, 1)


@pytest.fixture
def written(tmp_path):
    def write(degrees, hflip=False, vflip=False):
        path = tmp_path / "turned.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264rgb", rate=25, options={"qp": "0", "preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = 64, 32, "rgb24"
            stream.set_display_rotation(degrees, hflip=hflip, vflip=vflip)
            for index in range(2):
                frame = av.VideoFrame.from_ndarray(PICTURE, format="rgb24")
                frame.pts = index
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return write


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
@pytest.mark.parametrize("hflip", [False, True])
@pytest.mark.parametrize("vflip", [False, True])
def test_turns_and_mirrors(written, degrees, hflip, vflip):
    expected = np.rot90(PICTURE, degrees // 90)  # both count counter-clockwise
    expected = expected[:, ::-1] if hflip else expected
    expected = expected[::-1] if vflip else expected
    with open_source(written(degrees, hflip, vflip)) as source:
        assert (source.spec.height, source.spec.width) == expected.shape[:2]
        np.testing.assert_array_equal(source.frame(1), expected)


def test_other_angles_are_named(written):
    with pytest.raises(VideoInputError, match="is no quarter turn; turn the pixels first"):
        open_source(written(30))


def test_upright_pictures_pass():
    assert Orientation().turn(PICTURE) is PICTURE
    assert Orientation(swap=True, flip=True).turn(PICTURE).flags.c_contiguous
