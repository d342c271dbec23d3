"""The decoder's contract, held by the reference decoder on a real network and by the fake alike."""

import threading
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch

from nervplay.bitstream import write_nerv
from nervplay.codec import open_nerv, pack
from nervplay.decode import PRECISIONS, Decoder, TorchDecoder, open_decoder, resolve_device
from nervplay.decode.planes import write_yuv
from nervplay.decode.testing import FakeDecoder, read_index
from nervplay.errors import CapabilityError, FrameIndexError, MissingInputError, UnknownNameError, UsageError
from nervplay.models import VideoModel, build_model, resolve_preset
from nervplay.video.source import FrameSource, PlanarSource, Planes
from nervplay.video.spec import VideoSpec

SPEC = VideoSpec(width=64, height=32, frame_count=6, rate=Fraction(24))


@pytest.fixture(scope="module")
def model() -> VideoModel:
    """A small HNeRV with random weights and embeddings, so that frames differ."""
    entry, preset = resolve_preset("hnerv-tiny")
    torch.manual_seed(3)
    built = build_model(entry.name, preset.configure(SPEC.width, SPEC.height, SPEC.frame_count))
    built.load_stored_state({k: torch.randn_like(v) * 0.3 for k, v in built.stored_state().items()})
    return built.eval()


@pytest.fixture(scope="module")
def path(model: VideoModel, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("decoder") / "small.nerv"
    write_nerv(file, pack(model, SPEC))
    return str(file)


@pytest.fixture(params=["torch", "torch-fast", "native", "fake"])
def opened(request: pytest.FixtureRequest, path: str) -> Callable[[], Decoder]:
    if request.param == "fake":
        return lambda: FakeDecoder(SPEC)
    return lambda: open_decoder(path, device="cpu", backend=request.param)


def test_a_decoder_is_a_frame_source(opened: Callable[[], Decoder]) -> None:
    with opened() as decoder:
        assert isinstance(decoder, FrameSource)
        assert isinstance(decoder, PlanarSource)
        assert len(decoder) == decoder.spec.frame_count == 6
        frame = decoder.frame(0)
    assert frame.shape == (32, 64, 3)
    assert frame.dtype == np.uint8
    assert frame.flags["C_CONTIGUOUS"]


def test_order_does_not_matter(opened: Callable[[], Decoder]) -> None:
    with opened() as decoder:
        forward = list(decoder.frames())
        for index in (5, 0, 3, 3, 1):
            np.testing.assert_array_equal(decoder.frame(index), forward[index])
    assert len({frame.tobytes() for frame in forward}) == 6


def test_frames_belong_to_the_caller(opened: Callable[[], Decoder]) -> None:
    with opened() as decoder:
        first = decoder.frame(2)
        kept = first.copy()
        first[:] = 7
        np.testing.assert_array_equal(decoder.frame(2), kept)


@pytest.mark.parametrize("index", [-1, 6, 10**9])
def test_index_outside(opened: Callable[[], Decoder], index: int) -> None:
    with opened() as decoder, pytest.raises(FrameIndexError, match="0 to 5"):
        decoder.frame(index)


def test_index_of_any_whole_kind(opened: Callable[[], Decoder]) -> None:
    with opened() as decoder:
        second = decoder.frame(1)
        for index in (True, np.uint8(1), np.int16(1), np.int64(1)):
            np.testing.assert_array_equal(decoder.frame(index), second)
        with pytest.raises(TypeError):
            decoder.frame(1.0)  # type: ignore[arg-type]


def test_float_frame_rounds_to_frame(opened: Callable[[], Decoder]) -> None:
    with opened() as decoder:
        values, rounded = decoder.float_frame(4), decoder.frame(4)
    assert values.shape == (3, 32, 64)
    assert values.dtype == np.float32
    expected = np.floor(np.clip(values.transpose(1, 2, 0) * np.float32(255) + np.float32(0.5), 0, 255))
    np.testing.assert_array_equal(rounded, expected.astype(np.uint8))


def test_buffers_of_the_caller_are_filled(opened: Callable[[], Decoder]) -> None:
    with opened() as decoder:
        pixels, values = np.empty((32, 64, 3), np.uint8), np.empty((3, 32, 64), np.float32)
        assert decoder.frame(4, pixels) is pixels
        assert decoder.float_frame(4, values) is values
        np.testing.assert_array_equal(pixels, decoder.frame(4))
        np.testing.assert_array_equal(values, decoder.float_frame(4))


def planes(*, dtype: type = np.uint8, half: bool = True) -> Planes:
    chroma = (16, 32) if half else (32, 64)
    return np.empty((32, 64), dtype), np.empty(chroma, dtype), np.empty(chroma, dtype)


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_planes_of_samples(opened: Callable[[], Decoder], dtype: type, *, half: bool) -> None:
    out, expected = planes(dtype=dtype, half=half), planes(dtype=dtype, half=half)
    with opened() as decoder:
        write_yuv(np.ascontiguousarray(decoder.float_frame(3)), expected, decoder.spec.colour)
        assert decoder.yuv_frame(3, out) is out
        for plane, same in zip(out, expected, strict=True):
            np.testing.assert_array_equal(plane, same)
        with pytest.raises(FrameIndexError, match="0 to 5"):
            decoder.yuv_frame(6, out)
        with pytest.raises(UsageError, match="all uint8 or all uint16"):
            decoder.yuv_frame(0, (out[0], out[1], out[2][::-1]))
    with pytest.raises(UsageError, match="closed"):
        decoder.yuv_frame(0, out)


def test_planes_in_a_stream(opened: Callable[[], Decoder]) -> None:
    order = [4, 0, 5, 5]
    given = [planes() for _ in order]
    with opened() as decoder:
        for place, filled in enumerate(decoder.yuv_frames(zip(order, given, strict=True))):
            assert filled is given[place]
            for plane, same in zip(filled, decoder.yuv_frame(order[place], planes()), strict=True):
                np.testing.assert_array_equal(plane, same)
        assert place == 3
        for count, _ in enumerate(decoder.yuv_frames((index, planes()) for index in range(6)), start=1):
            if count == 2:
                decoder.cancel()
        assert count == 2
        assert len(list(decoder.yuv_frames([(0, planes())]))) == 1, "a new stream is not cancelled"


@pytest.mark.parametrize(
    "out", [np.empty((32, 64), np.uint8), np.empty((32, 64, 3), np.int8), np.empty((64, 64, 3), np.uint8)[::2]]
)
def test_a_buffer_that_does_not_fit(opened: Callable[[], Decoder], out: np.ndarray) -> None:
    with opened() as decoder, pytest.raises(UsageError, match=r"must be uint8 \(32, 64, 3\), C-contiguous"):
        decoder.frame(0, out)


def test_whole_positions_are_frames(opened: Callable[[], Decoder]) -> None:
    with opened() as decoder:
        np.testing.assert_array_equal(decoder.frame_at(Fraction(4)), decoder.frame(4))
        for position in (Fraction(-1, 2), Fraction(11, 2), Fraction(6)):
            with pytest.raises(FrameIndexError, match="0 to 5"):
                decoder.frame_at(position)


def test_between_frames_needs_an_architecture_that_reads_a_time(path: str) -> None:
    with open_decoder(path, device="cpu") as decoder:
        assert not decoder.continuous_time
        with pytest.raises(CapabilityError, match="one embedding per frame"):
            decoder.frame_at(Fraction(1, 2))


def test_pictures_between_frames() -> None:
    entry, preset = resolve_preset("nerv-tiny")
    network = build_model(entry.name, preset.configure(SPEC.width, SPEC.height, SPEC.frame_count)).eval()
    with TorchDecoder(network, SPEC, device=torch.device("cpu")) as decoder:
        assert decoder.continuous_time
        between = decoder.frame_at(Fraction(7, 2))
        assert any((between != decoder.frame(index)).any() for index in (3, 4))
        with torch.inference_mode():
            same = network.at_position(torch.arange(6, dtype=torch.float64))
            assert torch.equal(same, network(torch.arange(6)))


def test_cancel_from_another_thread_ends_the_stream(opened: Callable[[], Decoder]) -> None:
    with opened() as decoder:
        stream = decoder.frames([0] * 1000)
        next(stream)
        thread = threading.Thread(target=decoder.cancel)
        thread.start()
        thread.join()
        assert list(stream) == []
        assert len(list(decoder.frames([1, 2]))) == 2, "a new stream starts afresh"


def test_closed(opened: Callable[[], Decoder]) -> None:
    decoder = opened()
    decoder.close()
    decoder.close()
    with pytest.raises(UsageError, match="closed"):
        decoder.frame(0)


def test_unknown_precision_leaves_the_decoder_as_it_was(opened: Callable[[], Decoder]) -> None:
    with opened() as decoder:
        with pytest.raises(UnknownNameError, match="fp32"):
            decoder.set_precision("fp33")
        assert decoder.precision == "fp32"
        decoder.frame(0)


def test_bf16_is_close_and_fp32_comes_back_exactly(path: str) -> None:
    with open_decoder(path, device="cpu", backend="torch") as decoder:
        reference = decoder.float_frame(1)
        decoder.set_precision("bf16")
        coarse = decoder.float_frame(1)
        decoder.set_precision("fp32")
        again = decoder.float_frame(1)
    assert 0 < np.abs(coarse - reference).max() < 0.1
    np.testing.assert_array_equal(again, reference)


def test_int8_is_refused_with_the_way_out(path: str) -> None:
    assert "int8" in PRECISIONS
    with (
        open_decoder(path, device="cpu", backend="torch") as decoder,
        pytest.raises(CapabilityError, match="use fp32 or bf16"),
    ):
        decoder.set_precision("int8")


@pytest.mark.parametrize("backend", ["torch", "torch-fast", "native"])
def test_two_decoders_of_one_video_do_not_disturb_each_other(path: str, backend: str) -> None:
    video = open_nerv(path)
    with (
        open_decoder(video, device="cpu", backend=backend) as one,
        open_decoder(video, device="cpu", backend=backend, precision="bf16") as two,
    ):
        before = one.frame(3)
        two.frame(3)
        two.close()
        np.testing.assert_array_equal(one.frame(3), before)


def test_devices() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda")
    for name in ("gpu", "mps", "cpu:x"):
        with pytest.raises(UsageError, match="use auto, cpu, cuda"):
            resolve_device(name)
    with pytest.raises(CapabilityError, match="--device cpu"):
        resolve_device("cuda:97")


@pytest.mark.skipif(torch.backends.cuda.is_built(), reason="this PyTorch has CUDA")
def test_a_pytorch_without_cuda_is_said() -> None:
    with pytest.raises(CapabilityError, match=r"'cuda' here \(Torch not compiled with CUDA .*\); use"):
        resolve_device("cuda")


def test_missing_file() -> None:
    with pytest.raises(MissingInputError, match=r"nowhere\.nerv"):
        open_decoder("nowhere.nerv")


def test_fake_index_can_be_read_back() -> None:
    with FakeDecoder() as decoder:
        assert [read_index(frame) for frame in decoder.frames()] == list(range(48))
