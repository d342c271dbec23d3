"""The decoder on OpenVINO against the reference, for every architecture."""

import threading
from fractions import Fraction

import numpy as np
import pytest
import torch
from decoder_networks import SPEC, TINY, network

from nervplay.decode import OpenvinoDecoder, TorchDecoder
from nervplay.decode.loss import need
from nervplay.decode.openvino import decoder as module
from nervplay.decode.openvino.runtime import has_bfloat16
from nervplay.decode.tiles import Tiles
from nervplay.decode.w8a8 import RECORD
from nervplay.errors import CapabilityError, FrameIndexError, UnknownNameError, UsageError
from nervplay.models import VideoModel

# of one architecture those whose operations differ
INTEGERS = ("hnerv-tiny", "nerv-lrconv-tiny", "e-nerv-tiny", "hinerv-tiny", "pnerv-tiny", "snerv-t-tiny")


def reference(model: VideoModel) -> TorchDecoder:
    return TorchDecoder(model, SPEC, device=torch.device("cpu"))


@pytest.mark.parametrize("preset", TINY)
def test_every_architecture(preset: str) -> None:
    model = network(preset)
    with reference(model) as exact, OpenvinoDecoder(model, SPEC, threads=1) as decoder:
        for i in (5, 0, 3, 3):
            values = decoder.float_frame(i)
            assert np.abs(values - exact.float_frame(i)).max() < 1e-5
            assert np.abs(decoder.frame(i).astype(int) - exact.frame(i)).max() <= 1


@pytest.mark.parametrize("preset", INTEGERS)
def test_integers_lose_little(preset: str) -> None:
    model = network(preset)
    with reference(model) as exact, OpenvinoDecoder(model, SPEC, threads=1, precision="int8", video_db=33.0) as decoder:
        count = int(decoder.backend_note.split(" in ")[1].split()[0])
        frames = [(decoder.float_frame(i), exact.float_frame(i)) for i in range(6)]
        errors = [float(np.square(a.clip(0, 1) - b.clip(0, 1)).mean()) for a, b in frames]
    least = need(33.0)
    assert count >= 2, "integers there are"
    assert min(errors) > 1e-10, "and eight bits they have"
    assert -10 * np.log10(np.mean(errors)) > least.mean - 0.5
    assert -10 * np.log10(max(errors)) > least.worst - 0.5


@pytest.mark.parametrize(("video_db", "arithmetic"), [(40.0, "INT8"), (150.0, "FP32")])
def test_arithmetic_is_that_of_most_products(video_db: float, arithmetic: str, model: VideoModel) -> None:
    with OpenvinoDecoder(model, SPEC, threads=1, precision="int8", video_db=video_db) as decoder:
        assert decoder.arithmetic == arithmetic


@pytest.fixture(scope="module")
def model() -> VideoModel:
    return network("hnerv-tiny")


def test_precisions_change_while_running(model: VideoModel) -> None:
    steps: list[tuple[int, int]] = []
    with OpenvinoDecoder(model, SPEC, threads=2, progress=lambda *step: steps.append(step)) as decoder:
        assert (decoder.backend, decoder.device, decoder.precision) == ("openvino", "cpu", "fp32")
        assert decoder.backend_note == "OpenVINO, 2 threads, float32"
        exact = decoder.float_frame(2)
        decoder.set_precision("int8")
        assert "W8A8" in decoder.backend_note
        first = decoder.float_frame(2)
        assert 1e-4 < np.abs(first - exact).max() < 0.05
        decoder.set_precision("fp32")
        assert decoder.float_frame(2).tobytes() == exact.tobytes()
        decoder.set_precision("int8")
        assert decoder.float_frame(2).tobytes() == first.tobytes()
    assert [done for done, _ in steps] == list(range(1, len(steps) + 1))
    assert steps[-1][0] == steps[-1][1] > 0
    again: list[tuple[int, int]] = []
    options = {"precision": "int8", "threads": 2, "progress": lambda *step: again.append(step)}
    with OpenvinoDecoder(model, SPEC, **options) as decoder:
        assert decoder.float_frame(2).tobytes() == first.tobytes()
    assert again == [], "the cache knows this network"


def test_bfloat16(model: VideoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenvinoDecoder(model, SPEC, threads=1) as decoder:
        if has_bfloat16():
            exact = decoder.float_frame(1)
            decoder.set_precision("bf16")
            assert "bfloat16" in decoder.backend_note
            assert 1e-5 < np.abs(decoder.float_frame(1) - exact).max() < 0.02
            decoder.set_precision("fp32")
    monkeypatch.setattr(module, "has_bfloat16", lambda: False)
    with OpenvinoDecoder(model, SPEC, threads=1, precision="int8") as decoder:
        assert "float32 in the others" in decoder.backend_note
        with pytest.raises(CapabilityError, match="no bfloat16"):
            decoder.set_precision("bf16")
        assert decoder.precision == "int8"


def test_weights_are_paired_where_sums_have_16_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Either kind finds its own calibration, and takes that of a file as it needs it."""
    model, kept, steps = network("hnerv-tiny"), {}, []
    options = {"precision": "int8", "threads": 1, "video_db": 25.0, "progress": lambda done, _: steps.append(done)}
    for paired in (True, False):
        monkeypatch.setattr(module, "sums_in_16_bits", lambda it=paired: it)
        steps.clear()
        with OpenvinoDecoder(model, SPEC, **options) as decoder:
            assert steps
            assert ("paired for want of VNNI" in decoder.backend_note) is paired
            kept[paired] = decoder.calibration_record(), decoder.float_frame(1)
        for record, _ in kept.values():
            steps.clear()
            with OpenvinoDecoder(model, SPEC, carried={RECORD: record}, **options) as decoder:
                assert not steps
                assert np.abs(decoder.float_frame(1) - kept[paired][1]).max() < 0.05
    assert not np.array_equal(kept[True][1], kept[False][1])


def test_frames_belong_to_the_caller_and_streams_end(model: VideoModel) -> None:
    with OpenvinoDecoder(model, SPEC, threads=1) as decoder:
        single = [decoder.frame(i) for i in range(6)]
        streamed = list(decoder.frames())
        for one, other in zip(single, streamed, strict=True):
            np.testing.assert_array_equal(one, other)
        kept = decoder.float_frame(0)
        before = kept.copy()
        decoder.float_frame(1)
        np.testing.assert_array_equal(kept, before)
        stream = decoder.frames()
        next(stream)
        decoder.cancel()
        assert list(stream) == []
        sizes = [(96, 160), (48, 80), (48, 80)]
        planes, wanted = (tuple(np.zeros(size, np.uint8) for size in sizes) for _ in range(2))
        assert next(decoder.yuv_frames([(2, planes)])) is planes
        with reference(model) as exact:
            exact.yuv_frame(2, wanted)
        for mine, its in zip(planes, wanted, strict=True):
            assert np.abs(mine.astype(int) - its).max() <= 1


def test_preparing_in_the_background(model: VideoModel) -> None:
    with OpenvinoDecoder(model, SPEC, threads=1) as decoder:
        thread = threading.Thread(target=decoder.prepare, args=("int8",))
        thread.start()
        frames = [decoder.frame(1) for _ in range(3)]
        thread.join()
        assert all(np.array_equal(frame, frames[0]) for frame in frames)
        decoder.set_precision("int8")
        assert not np.array_equal(decoder.float_frame(1), frames[0])


def test_rectangles_and_moments_between_frames() -> None:
    model = network("hinerv-tiny")
    tiles = Tiles((SPEC.height, SPEC.width), 48, 80)
    with reference(model) as exact, OpenvinoDecoder(model, SPEC, threads=1, tiles=tiles) as decoder:
        assert np.abs(decoder.float_frame(4) - exact.float_frame(4)).max() < 1e-5
        decoder.set_precision("int8")
        assert np.abs(decoder.float_frame(4) - exact.float_frame(4)).max() < 0.05
    model = network("nerv-tiny")
    with reference(model) as exact, OpenvinoDecoder(model, SPEC) as decoder:
        assert decoder.continuous_time
        np.testing.assert_array_equal(decoder.frame_at(Fraction(5, 2)), exact.frame_at(Fraction(5, 2)))
        np.testing.assert_array_equal(decoder.frame_at(Fraction(2)), decoder.frame(2))


def test_refusals(model: VideoModel) -> None:
    decoder = OpenvinoDecoder(model, SPEC, threads=1)
    with pytest.raises(UnknownNameError, match="precision"):
        decoder.set_precision("int9")
    with pytest.raises(FrameIndexError, match="0 to 5"):
        decoder.frame(6)
    with pytest.raises(UsageError, match="buffer"):
        decoder.float_frame(0, np.empty((3, 96, 161), np.float32))
    decoder.close()
    decoder.close()
    for call in (lambda: decoder.frame(0), lambda: decoder.set_precision("int8"), lambda: decoder.float_frame(0)):
        with pytest.raises(UsageError, match="closed"):
            call()
    with pytest.raises(CapabilityError, match=r"OpenVINO cannot run this ffnerv: .* steers"):
        OpenvinoDecoder(network("ffnerv-tiny"), SPEC)


def test_what_is_fused_is_timed_as_a_whole() -> None:
    with OpenvinoDecoder(network("hnerv-tiny"), SPEC, threads=1) as decoder:
        assert [stage.name for stage in decoder.stage_times()] == ["frame"]


def test_what_openvino_refuses_is_one_clear_line(model: VideoModel) -> None:
    with pytest.raises(CapabilityError, match=r"cannot run this network: .*INFERENCE_NUM_THREADS.*; use --backend nat"):
        OpenvinoDecoder(model, SPEC, threads=-5)
