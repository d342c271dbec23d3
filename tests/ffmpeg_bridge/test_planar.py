"""Planes that a decoder fills itself: the same samples wherever they go, and colours that stay right."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from ffmpeg_bridge import VideoServer, export_video, open_source, write_pipe
from ffmpeg_bridge.frames import FrameConverter
from ffmpeg_bridge.planar import PLANAR_FORMATS, planar_frames, planar_source, raw_planes
from ffmpeg_bridge.raw import RawPacker, RawPictures
from nervplay.bitstream import write_nerv
from nervplay.codec import pack
from nervplay.decode import open_decoder
from nervplay.decode.testing import FakeDecoder
from nervplay.errors import Interrupted, UnknownNameError
from nervplay.models import build_model, resolve_preset
from nervplay.video import ArraySource, Colour, VideoSpec

SPEC = VideoSpec(width=134, height=66, frame_count=5, rate=Fraction(24000, 1001))
ODD = replace(SPEC, width=133, height=67)
STANDARDS = {
    name: Colour(matrix=name, primaries=name, transfer=name, range=levels)
    for name, levels in (("bt709", "tv"), ("smpte170m", "tv"))
}
FAST = {"preset": "ultrafast", "crf": 1}


def shape(pix_fmt: str) -> VideoSpec:
    return ODD if "444" in pix_fmt else SPEC


@pytest.mark.parametrize("pix_fmt", PLANAR_FORMATS)
def test_frames_are_tagged_and_filled_in_place(pix_fmt):
    colour = Colour(matrix="bt470bg", primaries="smpte170m", transfer="bt470m", range="pc")
    decoder = FakeDecoder(replace(shape(pix_fmt), colour=colour))
    raw = RawPictures(decoder, pix_fmt)
    expected = np.empty(raw.size, np.uint8)
    kept = list(planar_frames(planar_source(decoder, pix_fmt), pix_fmt))
    assert len(kept) == 5
    for index, frame in enumerate(kept):  # all at once: each has memory of its own
        assert (frame.format.name, frame.width, frame.height) == (pix_fmt, decoder.spec.width, decoder.spec.height)
        assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (5, 6, 4, 2)
        raw.read(index, expected)
        start = 0
        for plane, part in zip(frame.planes, frame.format.components, strict=True):
            lines = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
            width = plane.width * (1 if part.bits == 8 else 2)
            end = start + plane.height * width
            np.testing.assert_array_equal(lines[:, :width].reshape(-1), expected[start:end])
            start = end
        assert start == raw.size


@pytest.mark.parametrize("pix_fmt", PLANAR_FORMATS)
@pytest.mark.parametrize("colour", STANDARDS.values(), ids=STANDARDS)
def test_they_are_those_of_the_way_over_rgb_but_for_rounding(pix_fmt, colour):
    spec = replace(shape(pix_fmt), colour=colour)
    smooth = np.stack(np.broadcast_arrays(*np.ogrid[: spec.height, : spec.width], 60), axis=-1).astype(np.uint8)
    decoder = FakeDecoder(spec)
    decoder.frame = lambda index, out=None: smooth
    direct = np.empty(RawPacker(spec, pix_fmt).size, np.uint8)
    RawPictures(decoder, pix_fmt).read(2, direct)
    over_rgb = RawPacker(spec, pix_fmt).pack(smooth)
    most = 4 if "10" in pix_fmt else 1
    for a, b in zip(raw_planes(spec, pix_fmt, direct), raw_planes(spec, pix_fmt, over_rgb), strict=True):
        assert np.abs(a.astype(int) - b).max() <= most


def test_the_other_way_is_taken_where_it_must_be():
    assert planar_source(FakeDecoder(SPEC), "yuv422p") is None
    assert planar_source(FakeDecoder(SPEC), "rgb24") is None
    assert planar_source(ArraySource(np.zeros((1, 4, 4, 3), np.uint8)), "yuv420p") is None
    with pytest.raises(UnknownNameError, match="colour matrix"):
        planar_source(FakeDecoder(replace(SPEC, colour=Colour(matrix="ycgco"))), "yuv420p")


@pytest.mark.parametrize("pix_fmt", PLANAR_FORMATS)
def test_every_route_carries_the_same_samples(pix_fmt, run_ffmpeg, tmp_path):
    decoder = FakeDecoder(shape(pix_fmt))
    pictures = [np.empty(RawPictures(decoder, pix_fmt).size, np.uint8) for _ in range(5)]
    for index, picture in enumerate(pictures):
        RawPictures(decoder, pix_fmt).read(index, picture)
    expected = b"".join(picture.tobytes() for picture in pictures)
    for carrier in ("mkv", "nut", "raw"):
        with (tmp_path / carrier).open("wb") as file:
            write_pipe(file, decoder, carrier, pix_fmt)
    assert (tmp_path / "raw").read_bytes() == expected
    out = tmp_path / "out"
    same = ("-fps_mode", "passthrough", "-pix_fmt", pix_fmt, "-f", "rawvideo", out)
    with VideoServer() as server:
        for source in (tmp_path / "mkv", tmp_path / "nut", server.add(decoder, "clip", pix_fmt=pix_fmt)):
            run_ffmpeg("-i", source, *same)
            assert out.read_bytes() == expected
    export_video(decoder, tmp_path / "out.mkv", encoder="ffv1", pix_fmt=pix_fmt)
    run_ffmpeg("-i", tmp_path / "out.mkv", *same)
    assert out.read_bytes() == expected


class Ahead(FakeDecoder):
    """Fills the planes of each frame before it hands out those of the frame before, as decoders may."""

    def yuv_frames(self, targets):
        before = None
        for index, planes in targets:
            filled = self.yuv_frame(index, planes)
            if before is not None:
                yield before
            before = filled
        yield before


def test_a_decoder_may_be_one_frame_ahead(run_ffmpeg, tmp_path):
    for decoder, name in ((Ahead(SPEC), "ahead"), (FakeDecoder(SPEC), "in turn")):
        with (tmp_path / name).open("wb") as file:
            assert write_pipe(file, decoder, "raw", "yuv420p") == 5
        export_video(decoder, tmp_path / f"{name}.mkv", encoder="ffv1")
    assert (tmp_path / "ahead").read_bytes() == (tmp_path / "in turn").read_bytes()
    run_ffmpeg("-i", tmp_path / "ahead.mkv", "-fps_mode", "passthrough", "-f", "rawvideo", tmp_path / "exported")
    assert (tmp_path / "exported").read_bytes() == (tmp_path / "ahead").read_bytes()


def test_a_cancelled_decoder_is_no_export(tmp_path):
    class Cancelled(FakeDecoder):
        def yuv_frame(self, index, out):
            self.cancel()
            return super().yuv_frame(index, out)

    with pytest.raises(Interrupted, match="stopped after 1 of 5 frames"):
        export_video(Cancelled(SPEC), tmp_path / "out.mp4", **FAST)
    assert list(tmp_path.iterdir()) == []


def solid(path: Path, rgb: tuple[int, int, int], colour: Colour) -> Path:
    """Write a neural video of one colour: the last layer of its network knows nothing but a bias."""
    entry, preset = resolve_preset("nerv-tiny")
    torch.manual_seed(0)
    model = build_model(entry.name, preset.configure(64, 32, 3)).eval()
    *_, weight, bias = model.parameters()
    level = (torch.tensor(rgb) / 255).clamp(0.002, 0.998)
    with torch.no_grad():
        weight.zero_()
        bias.copy_(torch.atanh(2 * level - 1))  # the network ends in (tanh + 1) / 2
    write_nerv(path, pack(model, VideoSpec(width=64, height=32, frame_count=3, rate=Fraction(25), colour=colour)))
    return path


@pytest.mark.parametrize("colour", STANDARDS.values(), ids=STANDARDS)
@pytest.mark.parametrize("rgb", [(255, 0, 0), (30, 60, 90), (200, 150, 120)])
def test_a_solid_neural_video_survives(rgb, colour, ffprobe, run_ffmpeg, tmp_path):
    with open_decoder(solid(tmp_path / "solid.nerv", rgb, colour), device="cpu") as decoder:
        expected = decoder.frame(1)[0, 0].astype(int)
        assert np.abs(expected - rgb).max() <= 2, "the file holds the colour"
        for pix_fmt in PLANAR_FORMATS:
            out = tmp_path / f"{pix_fmt}.mp4"
            export_video(decoder, out, pix_fmt=pix_fmt, **FAST)
            entries = "color_space,color_primaries,color_transfer"
            assert {line.split("=")[1] for line in ffprobe(out, f"stream={entries}")} == {colour.matrix}
            with open_source(out) as source:
                assert np.abs(source.frame(1).astype(int) - expected).max() <= 1
            raw = tmp_path / "out.rgb"
            exact = "scale=flags=accurate_rnd+full_chroma_int,format=rgb24"
            run_ffmpeg("-i", out, "-vf", exact, "-f", "rawvideo", raw)
            seen = np.fromfile(raw, np.uint8).reshape(3, 32, 64, 3)
            assert np.abs(seen.astype(int) - expected).max() <= 1, pix_fmt


def test_both_ways_tag_alike():
    decoder, rgb = FakeDecoder(SPEC), FrameConverter(SPEC.colour, "yuv420p")
    own = next(planar_frames(planar_source(decoder, "yuv420p"), "yuv420p"))
    other = rgb.convert(decoder.frame(0))
    names = ("colorspace", "color_primaries", "color_trc", "color_range", "width", "height")
    assert [getattr(own, name) for name in names] == [getattr(other, name) for name in names]
