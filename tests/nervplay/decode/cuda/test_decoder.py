"""The GPU's decoder against the reference; on the CPU without streams and graphs, on a GPU (marked cuda) with them."""

import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from decoder_networks import SPEC, TINY, network

from nervplay.decode import TorchDecoder
from nervplay.decode.cuda import decoder as module
from nervplay.decode.cuda.decoder import CudaDecoder
from nervplay.decode.cuda.engines import run_torch
from nervplay.decode.cuda.lanes import allow_tf32
from nervplay.decode.loss import need
from nervplay.decode.planes import write_yuv
from nervplay.decode.rounding import round_frame
from nervplay.errors import CapabilityError, FrameIndexError, GeometryError, UnknownNameError, UsageError
from nervplay.models import VideoModel
from nervplay.video.source import Planes

CPU = torch.device("cpu")
GPU = pytest.param(
    "cuda", marks=[pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
)
PLACES = ["cpu", GPU]


def opened(model: VideoModel, place: str, **options: Any) -> CudaDecoder:
    """Return a decoder; on the CPU with the kernel's twin, as the interpreter is slow."""
    engine = run_torch if place == "cpu" else None
    return CudaDecoder(model, SPEC, device=torch.device(place), engine=engine, video_db=33.0, **options)


@pytest.fixture(scope="module")
def model() -> VideoModel:
    return network("hnerv-tiny")


@pytest.fixture(params=PLACES)
def decoder(request: pytest.FixtureRequest, model: VideoModel) -> Iterator[CudaDecoder]:
    with opened(model, request.param) as made:
        yield made


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("preset", [*TINY, "ffnerv-tiny"])
def test_every_architecture(preset: str, place: str) -> None:
    model = network(preset)
    # FFNeRV rounds neighbours to float16, which turns a last bit into 1/2048.
    limit = 1e-3 if preset.startswith("ffnerv") else 1e-4 if place == "cuda" else 1e-5
    with opened(model, place) as decoder, TorchDecoder(model, SPEC, device=CPU) as exact:
        for index in (5, 0, 3):
            wanted = exact.float_frame(index)
            got = decoder.float_frame(index)
            assert np.abs(got - wanted).max() < limit
            np.testing.assert_array_equal(decoder.frame(index), round_frame(got))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("precision", "least"), [("tf32", 55), ("bf16", 45), ("fp16", 60), ("int8", need(33.0).worst)])
def test_precisions(model: VideoModel, place: str, precision: str, least: float) -> None:
    with opened(model, place) as decoder:
        exact = decoder.float_frame(2)
        decoder.set_precision(precision)
        values = decoder.float_frame(2)
        error = float(np.square(values.clip(0, 1) - exact.clip(0, 1)).mean())
        assert -10 * np.log10(error + 1e-15) > least
        decoder.set_precision("fp32")
        assert decoder.float_frame(2).tobytes() == exact.tobytes()
        decoder.set_precision(precision)
        assert decoder.float_frame(2).tobytes() == values.tobytes()


def test_int8_says_what_it_is_and_is_calibrated_once(
    model: VideoModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    steps: list[tuple[int, int]] = []
    with opened(model, "cpu", precision="int8", progress=lambda *step: steps.append(step)) as decoder:
        assert "(W8A8) in 5 of 5 convolutions" in decoder.backend_note
        assert decoder.arithmetic == "INT8"
        first = decoder.float_frame(1)
    assert steps[-1][0] == steps[-1][1] > 0
    again: list[tuple[int, int]] = []
    with opened(model, "cpu", precision="int8", progress=lambda *step: again.append(step)) as decoder:
        assert decoder.float_frame(1).tobytes() == first.tobytes()
    assert again == [], "the cache knows this network"
    with CudaDecoder(model, SPEC, device=CPU, engine=run_torch, video_db=150.0, precision="int8") as decoder:
        assert decoder.arithmetic == "BF16", "none is exact enough"


def test_streams_are_what_single_frames_are(decoder: CudaDecoder) -> None:
    single = [decoder.frame(i) for i in range(6)]
    for got, wanted in zip(decoder.frames(), single, strict=True):
        np.testing.assert_array_equal(got, wanted)
    order = [5, 0, 0, 3, 1]
    kept = list(decoder.frames(order))
    assert all(np.array_equal(kept[i], single[n]) for i, n in enumerate(order))
    assert not np.shares_memory(kept[1], kept[2])
    assert list(decoder.frames([])) == []


def test_a_frame_between_frames_of_a_stream(decoder: CudaDecoder) -> None:
    single = [decoder.frame(i) for i in range(6)]
    for i, got in enumerate(decoder.frames()):
        np.testing.assert_array_equal(decoder.frame(5 - i), single[5 - i])
        np.testing.assert_array_equal(got, single[i])


def test_an_index_that_is_not_there_ends_the_stream_in_its_turn(decoder: CudaDecoder) -> None:
    stream = decoder.frames([1, 2, 99, 3])
    assert len([next(stream), next(stream)]) == 2
    with pytest.raises(FrameIndexError, match="99"):
        next(stream)


def test_precision_changes_within_a_stream(decoder: CudaDecoder) -> None:
    decoder.prepare("bf16")
    stream = decoder.frames()
    next(stream)
    decoder.set_precision("bf16")
    rest = list(stream)
    assert all(np.array_equal(frame, decoder.frame(i)) for i, frame in enumerate(rest, 1))


def test_cancel_ends_a_stream(decoder: CudaDecoder) -> None:
    stream = decoder.frames()
    next(stream)
    decoder.cancel()
    assert list(stream) == []
    assert len(list(decoder.frames())) == 6


def planes(kind: type = np.uint8) -> Planes:
    return np.zeros((96, 160), kind), np.zeros((48, 80), kind), np.zeros((48, 80), kind)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_planes_are_those_of_the_host(decoder: CudaDecoder, kind: type) -> None:
    got, wanted = planes(kind), planes(kind)
    assert decoder.yuv_frame(4, got) is got
    write_yuv(decoder.float_frame(4), wanted, SPEC.colour)
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(GeometryError, match="160x96"):
        decoder.yuv_frame(0, (got[0], got[1], got[2][:1]))


def test_streams_of_planes(decoder: CudaDecoder) -> None:
    targets = [(index, planes()) for index in (3, 0, 5)]
    for got, (index, given) in zip(decoder.yuv_frames(targets), targets, strict=True):
        assert got is given
        wanted = decoder.yuv_frame(index, planes())
        assert all(np.array_equal(a, b) for a, b in zip(got, wanted, strict=True))
    bad = (planes()[0], planes()[1], planes()[2][:1])
    for last, error in ((99, planes()), FrameIndexError), ((1, bad), GeometryError):
        stream = decoder.yuv_frames([(2, planes()), last])
        next(stream)
        with pytest.raises(error):
            next(stream)


def test_stages(decoder: CudaDecoder) -> None:
    stages = decoder.stage_times(1)
    assert [stage.name for stage in stages] == ["network", "convert and copy"]
    assert stages[0].milliseconds > 0


def test_buffers_of_the_caller(decoder: CudaDecoder) -> None:
    rgb, floats = np.zeros((96, 160, 3), np.uint8), np.zeros((3, 96, 160), np.float32)
    assert decoder.frame(2, rgb) is rgb
    assert decoder.float_frame(2, floats) is floats
    np.testing.assert_array_equal(rgb, decoder.frame(2))
    with pytest.raises(UsageError, match="buffer"):
        decoder.frame(0, np.zeros((96, 161, 3), np.uint8))
    with pytest.raises(UsageError, match="buffer"):
        decoder.float_frame(0, np.zeros((3, 96, 160)))


def test_a_frame_that_stays_on_the_device(decoder: CudaDecoder) -> None:
    tensor = decoder.device_frame(3)
    assert tensor.device.type == torch.device(decoder.device).type
    np.testing.assert_array_equal(tensor[0].cpu().numpy(), decoder.float_frame(3))
    with pytest.raises(FrameIndexError):
        decoder.device_frame(6)


def test_between_frames_as_the_reference() -> None:
    model = network("nerv-tiny")
    with opened(model, "cpu") as decoder, TorchDecoder(model, SPEC, device=CPU) as exact:
        difference = decoder.frame_at(Fraction(5, 2)).astype(int) - exact.frame_at(Fraction(5, 2))
        assert np.abs(difference).max() <= 1
        np.testing.assert_array_equal(decoder.frame_at(Fraction(2)), decoder.frame(2))


def test_preparing_in_the_background(decoder: CudaDecoder) -> None:
    thread = threading.Thread(target=decoder.prepare, args=("int8",))
    thread.start()
    frames = [decoder.frame(1) for _ in range(3)]
    thread.join()
    assert all(np.array_equal(frame, frames[0]) for frame in frames)
    decoder.set_precision("int8")
    decoder.frame(1)


def test_refusals(model: VideoModel) -> None:
    decoder = opened(model, "cpu")
    with pytest.raises(UnknownNameError, match="precision"):
        decoder.set_precision("int9")
    with pytest.raises(FrameIndexError, match="0 to 5"):
        decoder.frame(6)
    assert "TF32 off" in decoder.backend_note
    decoder.close()
    decoder.close()
    for call in (lambda: decoder.frame(0), lambda: decoder.set_precision("bf16"), decoder.frames):
        with pytest.raises(UsageError, match="closed"):
            call()


def test_a_network_that_reads_its_index_has_no_int8() -> None:
    with opened(network("ffnerv-tiny"), "cpu") as decoder:
        before = decoder.frame(1)
        with pytest.raises(CapabilityError, match=r"no int8 for this ffnerv: .*; use bf16"):
            decoder.set_precision("int8")
        assert decoder.precision == "fp32"
        np.testing.assert_array_equal(decoder.frame(1), before)
        assert "no CUDA graph" in decoder.backend_note


def test_int8_without_triton_is_one_clear_line(model: VideoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nervplay.decode.cuda.engines.importlib.util.find_spec", lambda _: None)
    with pytest.raises(CapabilityError, match=r"need Triton: .*pip install 'nervplay\[gpu\]'\); or use") as caught:
        CudaDecoder(model, SPEC, device=CPU, precision="int8")
    assert "\n" not in str(caught.value)


def test_too_little_memory_is_one_clear_line(model: VideoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError

    decoder = opened(model, "cpu")
    monkeypatch.setattr(module, "Lane", full)
    with pytest.raises(CapabilityError, match="too little free memory for frames of 160x96 in bf16"):
        decoder.set_precision("bf16")
    assert len(list(decoder.frames())) == 6, "one lane is enough"


def test_memory_that_others_have_taken_is_one_clear_line(model: VideoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError

    with opened(model, "cpu") as decoder:
        monkeypatch.setattr(module.Lane, "start", full)
        with pytest.raises(CapabilityError, match=r"too little free memory .* in fp32"):
            decoder.frame(0)


def test_what_triton_lacks_is_not_taken_for_what_cannot_be_recorded(
    model: VideoModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise CapabilityError("Triton finds no compiler")

    with opened(model, "cpu") as decoder:
        monkeypatch.setattr(module, "Lane", refused)
        with pytest.raises(CapabilityError, match="no compiler"):
            decoder.set_precision("bf16")
        assert "no CUDA graph" not in decoder.backend_note


@pytest.mark.parametrize("precision", ["bf16", "int8", "tf32"])
def test_older_gpus_are_told_what_they_lack(model: VideoModel, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.torch.cuda, "get_device_capability", lambda _: (7, 5))
    with opened(model, "cpu") as decoder, monkeypatch.context() as patch:
        patch.setattr(decoder, "_device", torch.device("cuda:0"))
        with pytest.raises(CapabilityError, match=rf"{precision} needs a GPU of compute capability 8.0; .* 7.5"):
            decoder.prepare(precision)


def test_a_calibration_leaves_room_for_frames(
    model: VideoModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made: list[bool] = []

    def look(_: int, __: int) -> None:
        def settings() -> None:
            with allow_tf32(allowed=False):
                pass

        thread = threading.Thread(target=settings, daemon=True)
        thread.start()
        thread.join(timeout=5)
        made.append(not thread.is_alive())

    with opened(model, "cpu", progress=look) as decoder:
        decoder.prepare("int8")
    assert made
    assert all(made), "other threads wait for the whole calibration"


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_decoders_come_and_go_while_another_streams(model: VideoModel) -> None:
    with opened(model, "cuda") as decoder:
        wanted = [frame.tobytes() for frame in decoder.frames()]
        done, notes = threading.Event(), []

        def come_and_go() -> None:
            for precision in ("bf16", "fp16", "fp32", "tf32") * 5:
                with opened(model, "cuda", precision=precision) as other:
                    list(other.frames())
                    notes.append(other.backend_note)
            done.set()

        thread = threading.Thread(target=come_and_go)
        thread.start()
        while not done.is_set() and thread.is_alive():
            with opened(model, "cuda") as short:
                assert [frame.tobytes() for frame in short.frames()] == wanted
            assert [frame.tobytes() for frame in decoder.frames()] == wanted
        thread.join()
    assert len(notes) == 20
    assert not any("no CUDA graph" in note for note in notes)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16", "int8"])
def test_a_gpu_gives_the_same_bytes_every_time(model: VideoModel, precision: str) -> None:
    made = []
    for _ in range(2):
        with opened(model, "cuda", precision=precision) as decoder:
            assert "no CUDA graph" not in decoder.backend_note
            made.append([frame.tobytes() for _ in range(3) for frame in decoder.frames()])
    assert made[0] == made[1]
    assert made[0][:6] == made[0][6:12] == made[0][12:]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_its_memory_back(model: VideoModel) -> None:
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    with opened(model, "cuda") as decoder:
        list(decoder.frames())
        assert torch.cuda.memory_allocated() > before
    assert torch.cuda.memory_allocated() <= before + (1 << 20)
