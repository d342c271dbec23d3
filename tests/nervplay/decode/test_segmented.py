"""A clip in several time segments: every frame from its own network, seams blended, few networks open."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from nervplay.bitstream import NervFile, Segment, write_nerv
from nervplay.codec import open_nerv, pack
from nervplay.codec.unpack import segment_file, unpack
from nervplay.decode import Decoder, open_decoder
from nervplay.decode.calibration import Progress
from nervplay.decode.planes import write_yuv
from nervplay.decode.rounding import round_frame
from nervplay.decode.segmented import SegmentedDecoder
from nervplay.decode.testing import FakeDecoder
from nervplay.errors import BitstreamError, CapabilityError, FrameIndexError, UsageError
from nervplay.models import VideoModel, build_model, resolve_preset
from nervplay.video.spec import VideoSpec

SPEC = VideoSpec(width=64, height=32, frame_count=12, rate=Fraction(24))
# (first frame, frames, lead, tail): a hard cut, then a seam where both networks know four frames.
CUT = ((0, 3, 0, 0), (3, 5, 0, 2), (8, 4, 2, 0))


def network(seed: int, frame_count: int) -> VideoModel:
    torch.manual_seed(seed)
    entry, preset = resolve_preset("nerv-tiny")
    model = build_model(entry.name, preset.configure(SPEC.width, SPEC.height, frame_count))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.fixture(scope="module")
def networks() -> list[VideoModel]:
    return [network(seed, lead + count + tail) for seed, (_, count, lead, tail) in enumerate(CUT)]


def joined(networks: list[VideoModel], cut: tuple[tuple[int, int, int, int], ...] = CUT) -> NervFile:
    """One file of the packed networks."""
    packed = [pack(model, replace(SPEC, frame_count=model.config.frame_count)) for model in networks]
    segments = tuple(
        replace(file.segments[0], first_frame=first, frame_count=count, lead=lead, tail=tail)
        for file, (first, count, lead, tail) in zip(packed, cut, strict=True)
    )
    config = dict(packed[0].config) | {"frame_count": SPEC.frame_count}
    return replace(packed[0], video=SPEC, config=config, segments=segments)


@pytest.fixture(scope="module")
def path(networks: list[VideoModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("segments") / "clip.nerv"
    write_nerv(file, joined(networks))
    return file


@pytest.fixture
def alone(path: Path) -> list[Decoder]:
    """A decoder for each network by itself."""
    video = open_nerv(path)
    return [open_decoder(video.segment(number), device="cpu") for number in range(3)]


def test_segments_come_back(path: Path) -> None:
    segments = open_nerv(path).file.segments
    assert [(s.first_frame, s.frame_count, s.lead, s.tail) for s in segments] == list(CUT)
    assert [(s.first_known, s.known_count) for s in segments] == [(0, 3), (3, 7), (6, 6)]


def test_frames_come_from_their_networks(path: Path, alone: list[Decoder]) -> None:
    with open_decoder(path, device="cpu") as decoder:
        assert (len(decoder), decoder.spec, decoder.device) == (12, SPEC, "cpu")
        assert (decoder.backend, decoder.backend_note) == (alone[0].backend, alone[0].backend_note)
        for index in (0, 2, 3, 5, 10, 11):
            number = 0 if index < 3 else 1 if index < 8 else 2
            first = decoder.frame(index)
            np.testing.assert_array_equal(first, alone[number].frame(index - CUT[number][0] + CUT[number][2]))
        planes = [tuple(np.empty((32, 64), np.uint8) for _ in range(3)) for _ in range(len(decoder))]
        for index, filled in enumerate(decoder.yuv_frames(enumerate(planes))):
            same = tuple(np.empty((32, 64), np.uint8) for _ in range(3))
            np.testing.assert_array_equal(filled, decoder.yuv_frame(index, same))
        everything = list(decoder.frames())
        for index in (11, 0, 7, 3, 8):
            np.testing.assert_array_equal(decoder.frame(index), everything[index])
            np.testing.assert_array_equal(decoder.frame(np.uint8(index)), everything[index])  # type: ignore[arg-type]


@pytest.mark.parametrize(("index", "share"), [(6, 1 / 5), (7, 2 / 5), (8, 3 / 5), (9, 4 / 5)])
def test_a_seam_moves_over_in_equal_steps(path: Path, alone: list[Decoder], index: int, share: float) -> None:
    with open_decoder(path, device="cpu") as decoder:
        expected = (1 - share) * alone[1].float_frame(index - 3) + share * alone[2].float_frame(index - 6)
        np.testing.assert_allclose(decoder.float_frame(index), expected, atol=1e-6, rtol=0)
        np.testing.assert_array_equal(decoder.frame(index), round_frame(decoder.float_frame(index)))
        given, same = (tuple(np.empty((32, 64), np.uint8) for _ in range(3)) for _ in range(2))
        write_yuv(decoder.float_frame(index), same, SPEC.colour)
        np.testing.assert_array_equal(decoder.yuv_frame(index, given), same)


def test_between_frames(path: Path, alone: list[Decoder]) -> None:
    with open_decoder(path, device="cpu") as decoder:
        assert decoder.continuous_time
        np.testing.assert_array_equal(decoder.frame_at(Fraction(9, 2)), alone[1].frame_at(Fraction(3, 2)))
        np.testing.assert_array_equal(decoder.frame_at(Fraction(21, 2)), alone[2].frame_at(Fraction(9, 2)))
        np.testing.assert_array_equal(decoder.frame_at(Fraction(7)), decoder.frame(7))
        with pytest.raises(CapabilityError, match="no frame in common"):
            decoder.frame_at(Fraction(5, 2))
        for outside in (Fraction(-1, 2), Fraction(23, 2)):
            with pytest.raises(FrameIndexError, match=f"frame {outside} is outside the clip; its frames are 0 to 11"):
                decoder.frame_at(outside)
    assert decoder.arithmetic == "FP32", "a closed one says it, too"


def test_open_segments_are_prepared() -> None:
    prepared: list[str] = []

    class Preparing(FakeDecoder):
        def prepare(self, precision: str) -> None:
            super().prepare(precision)
            prepared.append(precision)

    segments = tuple(Segment(first_frame=i, frame_count=1, tensors={}) for i in range(3))
    opened: list[Decoder] = []

    def open_segment(_number: int, _precision: str, _told: Progress) -> Decoder:
        opened.append(Preparing(replace(SPEC, frame_count=1)))
        return opened[-1]

    decoder = SegmentedDecoder(segments, replace(SPEC, frame_count=3), open_segment)
    decoder.frame(1)
    decoder.prepare("int8")
    assert prepared == ["int8"] * 2
    opened[0].close()
    decoder.prepare("int8")
    assert prepared == ["int8"] * 3, "one that was closed for another is no fault"
    decoder.close()
    with pytest.raises(UsageError):
        decoder.prepare("int8")


def test_few_networks_are_open_and_all_are_closed(networks: list[VideoModel]) -> None:
    count = 9
    segments = tuple(Segment(first_frame=i, frame_count=1, tensors={}) for i in range(count))
    spec = replace(SPEC, frame_count=count)
    opened: list[Decoder] = []

    def open_segment(_number: int, precision: str, _told: Progress) -> Decoder:
        decoder = FakeDecoder(replace(SPEC, frame_count=1))
        decoder.set_precision(precision)
        opened.append(decoder)
        return decoder

    def alive() -> int:
        living = 0
        for decoder in opened:
            try:
                decoder.frame(0)
            except UsageError:
                continue
            living += 1
        return living

    decoder = SegmentedDecoder(segments, spec, open_segment, precision="bf16")
    for index in range(count):
        decoder.frame(index)
        assert alive() <= 3
    assert len(opened) == count
    decoder.set_precision("int8")
    decoder.frame(0)
    assert {d.precision for d in opened if d in (opened[-1], opened[-2])} == {"int8"}
    decoder.close()
    assert alive() == 0
    with pytest.raises(UsageError, match="closed"):
        decoder.frame(0)


def test_outside_the_clip(path: Path) -> None:
    with open_decoder(path, device="cpu") as decoder:
        for index in (-1, 12):
            with pytest.raises(FrameIndexError, match="0 to 11"):
                decoder.frame(index)


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        (((0, 3, 0, 0), (3, 5, 0, 2), (8, 4, 3, 1)), "outside the clip"),
        (((0, 3, 1, 0), (3, 5, 0, 2), (8, 4, 2, 0)), "outside the clip"),
        (((0, 3, 0, 0), (3, 5, 4, 2), (8, 4, 2, 0)), "know more than its 3 frames"),
        (((0, 3, 0, 4), (3, 5, 0, 2), (8, 4, 2, 0)), "know more than its 5 frames"),
    ],
)
def test_seams_that_cannot_be(networks: list[VideoModel], tmp_path: Path, cut, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        write_nerv(tmp_path / "a.nerv", joined(networks, cut))


def test_a_network_of_another_length_is_refused(networks: list[VideoModel]) -> None:
    file = joined(networks)
    wrong = replace(file, segments=(*file.segments[:2], replace(file.segments[2], config={"grid": [3, 5]})))
    with pytest.raises(BitstreamError, match="not sound"):
        unpack(segment_file(wrong, 2))
