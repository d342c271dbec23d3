"""Neural video in VapourSynth, where that is installed: every frame, its colours and its properties."""

import sys
from fractions import Fraction

import numpy as np
import pytest

from nervplay.errors import CapabilityError, GeometryError, UnknownNameError
from nervplay.vapoursynth import source
from nervplay.video import BaseSource, Colour, VideoSpec

SPEC = VideoSpec(width=130, height=66, frame_count=5, rate=Fraction(24000, 1001), sample_aspect=Fraction(8, 9))
SD = Colour(matrix="smpte170m", primaries="smpte170m", transfer="smpte170m")


class Counted(BaseSource):
    """Frame i has the samples 100 + i, 110 + i, 120 + i, and RGB that is never asked for."""

    def _read(self, index):
        raise AssertionError("asked for RGB")

    def yuv_frame(self, index, out):
        for number, plane in enumerate(out):
            plane[...] = 100 + 10 * number + index
        return out

    def yuv_frames(self, targets):
        return (self.yuv_frame(*target) for target in targets)


def test_without_vapoursynth(monkeypatch):
    monkeypatch.setitem(sys.modules, "vapoursynth", None)
    with pytest.raises(CapabilityError, match="pip install vapoursynth"):
        source(Counted(SPEC))


def test_a_format_that_does_not_exist():
    with pytest.raises(UnknownNameError, match="did you mean yuv420p"):
        source(Counted(SPEC), pix_fmt="yuv420")


@pytest.mark.parametrize(("pix_fmt", "dtype"), [("yuv420p", "uint8"), ("yuv444p", "uint8"), ("yuv444p10le", "uint16")])
def test_every_frame_in_any_order(pix_fmt, dtype):
    pytest.importorskip("vapoursynth")
    node = source(Counted(SPEC), pix_fmt=pix_fmt)
    assert (node.width, node.height, node.num_frames, node.fps) == (130, 66, 5, SPEC.rate)
    for index in (4, 0, 3, 3):
        with node.get_frame(index) as frame:
            for number in range(3):
                plane = np.asarray(frame[number])
                assert plane.dtype == dtype
                assert plane.shape == ((33, 65) if number and "420" in pix_fmt else (66, 130))
                assert (plane == 100 + 10 * number + index).all()


@pytest.mark.parametrize(("levels", "expected"), [("tv", 0), ("pc", 1)])
def test_properties(levels, expected):
    pytest.importorskip("vapoursynth")
    colour = Colour(matrix=SD.matrix, primaries=SD.primaries, transfer=SD.transfer, range=levels)
    clip = Counted(VideoSpec(**{**SPEC.__dict__, "colour": colour}))
    properties = source(clip).get_frame(0).props
    assert [properties[name] for name in ("_Matrix", "_Primaries", "_Transfer")] == [6, 6, 6]
    assert properties["_Range"] == expected
    assert Fraction(properties["_DurationNum"], properties["_DurationDen"]) == 1 / SPEC.rate
    assert Fraction(properties["_SARNum"], properties["_SARDen"]) == SPEC.sample_aspect


def test_its_own_resizer_knows_the_colours():
    """Y, U, V = 81, 90, 240 is red in BT.601."""
    vs = pytest.importorskip("vapoursynth")

    class Red(Counted):
        def yuv_frame(self, index, out):
            for plane, level in zip(out, (81, 90, 240), strict=True):
                plane[...] = level
            return out

    clip = Red(VideoSpec(**{**SPEC.__dict__, "colour": SD}))
    shown = source(clip).resize.Bicubic(format=vs.RGB24).get_frame(2)
    assert np.abs(np.array([shown[plane][30, 60] for plane in range(3)]) - [255, 0, 0]).max() <= 1


def test_odd_sides():
    pytest.importorskip("vapoursynth")
    odd = Counted(VideoSpec(width=65, height=33, frame_count=2, rate=Fraction(25)))
    with pytest.raises(GeometryError, match="65x33 cannot be yuv420p; take yuv444p"):
        source(odd)
    assert source(odd, pix_fmt="yuv444p").width == 65
