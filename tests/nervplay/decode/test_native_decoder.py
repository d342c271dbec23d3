"""The decoder on the kernels against the reference, for every architecture."""

import threading
from fractions import Fraction

import numpy as np
import pytest
import torch
from decoder_networks import SPEC, TINY, network

from nervplay.decode import NativeDecoder, TorchDecoder
from nervplay.decode.graph import UntraceableError, trace
from nervplay.decode.program import Program
from nervplay.errors import CapabilityError, FrameIndexError, UnknownNameError, UsageError
from nervplay.models import VideoModel


def reference(model: VideoModel) -> TorchDecoder:
    return TorchDecoder(model, SPEC, device=torch.device("cpu"))


@pytest.mark.parametrize("preset", TINY)
def test_every_architecture(preset: str) -> None:
    model = network(preset)
    with (
        reference(model) as exact,
        NativeDecoder(model, SPEC, threads=1) as one,
        NativeDecoder(model, SPEC, threads=3) as three,
    ):
        values = [exact.float_frame(i) for i in range(6)]
        assert max(np.abs(values[0] - v).max() for v in values[1:]) > 2e-4, "frames must differ to be told apart"
        for i in (5, 0, 3, 3):
            got = one.float_frame(i)
            assert np.abs(got - values[i]).max() < 1e-5
            assert three.float_frame(i).tobytes() == got.tobytes(), "the number of threads changes nothing"
            assert np.abs(one.frame(i).astype(int) - exact.frame(i)).max() <= 1


@pytest.fixture(scope="module")
def model() -> VideoModel:
    return network("hnerv-tiny")


def test_rounding_is_the_reference_s(model: VideoModel) -> None:
    with NativeDecoder(model, SPEC) as decoder:
        for index in range(6):
            values = decoder.float_frame(index).transpose(1, 2, 0)
            rounded = np.floor(np.clip(values * np.float32(255) + np.float32(0.5), 0, 255)).astype(np.uint8)
            np.testing.assert_array_equal(decoder.frame(index), rounded)


def test_precisions_say_what_they_compute(model: VideoModel) -> None:
    steps: list[tuple[int, int]] = []
    with NativeDecoder(model, SPEC, progress=lambda *step: steps.append(step)) as decoder:
        exact = decoder.float_frame(2)
        assert "float32" in decoder.backend_note
        decoder.set_precision("bf16")
        assert decoder.float_frame(2).tobytes() == exact.tobytes()
        assert "faster here than bfloat16" in decoder.backend_note
        decoder.set_precision("int8")
        assert "W8A16" in decoder.backend_note
        first = decoder.float_frame(2)
        assert 0 < np.abs(first - exact).max() < 0.02
        decoder.set_precision("fp32")
        assert decoder.float_frame(2).tobytes() == exact.tobytes()
        decoder.set_precision("int8")
        assert decoder.float_frame(2).tobytes() == first.tobytes()
    assert steps[-1][0] == steps[-1][1] > 0
    assert [done for done, _ in steps] == list(range(1, len(steps) + 1))
    again: list[tuple[int, int]] = []
    with NativeDecoder(model, SPEC, precision="int8", threads=3, progress=lambda *step: again.append(step)) as decoder:
        assert decoder.float_frame(2).tobytes() == first.tobytes()
    assert again == [], "the cache knows this network"


@pytest.mark.parametrize(("preset", "changed"), [("hnerv-tiny", "embedding"), ("nerv-tiny", "stem.0.weight")])
def test_calibration_belongs_to_what_convolutions_read_too(preset: str, changed: str) -> None:
    model = network(preset)
    with NativeDecoder(model, SPEC, precision="int8"):
        pass
    state = model.stored_state()
    model.load_stored_state(state | {changed: 3 * state[changed]})
    steps: list[tuple[int, int]] = []
    with NativeDecoder(model, SPEC, precision="int8", progress=lambda *step: steps.append(step)) as decoder:
        exact = reference(model).float_frame(1).clip(0, 1)
        assert np.square(decoder.float_frame(1).clip(0, 1) - exact).mean() < 1e-7
    assert steps, "the same convolutions, but of larger inputs"


def test_preparing_in_the_background(model: VideoModel) -> None:
    with NativeDecoder(model, SPEC) as decoder:
        thread = threading.Thread(target=decoder.prepare, args=("int8",))
        thread.start()
        frames = [decoder.frame(1) for _ in range(3)]
        thread.join()
        decoder.set_precision("int8")
        decoder.frame(1)
        assert all(np.array_equal(frame, frames[0]) for frame in frames)


def test_closed_while_a_precision_is_prepared(model: VideoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = NativeDecoder(model, SPEC)
    made = decoder._program

    def program(name: str) -> Program:
        decoder.close()
        return made(name)

    monkeypatch.setattr(decoder, "_program", program)
    with pytest.raises(UsageError, match="closed"):
        decoder.prepare("int8")
    assert decoder._programs == {}, "its weights are freed"


def test_between_frames_as_the_reference() -> None:
    model = network("nerv-tiny")
    with NativeDecoder(model, SPEC) as decoder, reference(model) as exact:
        np.testing.assert_array_equal(decoder.frame_at(Fraction(5, 2)), exact.frame_at(Fraction(5, 2)))
        np.testing.assert_array_equal(decoder.frame_at(Fraction(2)), decoder.frame(2))


def test_refusals(model: VideoModel) -> None:
    decoder = NativeDecoder(model, SPEC)
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


def test_a_network_that_reads_its_index_is_refused() -> None:
    model = network("ffnerv-tiny")
    with pytest.raises(UntraceableError, match="steers"):
        trace(model)
    with pytest.raises(CapabilityError, match="cannot run this ffnerv"):
        NativeDecoder(model, SPEC)


def test_kernels_of_every_instruction_set_agree(model: VideoModel) -> None:
    with NativeDecoder(model, SPEC) as best, NativeDecoder(model, SPEC, instructions="generic") as generic:
        assert np.abs(best.float_frame(3) - generic.float_frame(3)).max() < 1e-5
