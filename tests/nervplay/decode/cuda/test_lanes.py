"""Lanes: what they record, what they leave as PyTorch had it, whose memory a frame is."""

import contextlib
import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nervplay.decode.cuda import lanes as module
from nervplay.decode.cuda.lanes import Lane, allow_tf32
from nervplay.decode.cuda.output import FloatPlanes, Rgb8

CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def ramp(index: Tensor) -> Tensor:
    """Return a picture whose values are its index / 10."""
    return (index / 10).reshape(1, 1, 1, 1).expand(1, 3, 4, 6)


def settings() -> tuple[bool, ...]:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    return matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic


def test_settings_come_back() -> None:
    before = settings()
    with allow_tf32(allowed=True):
        assert settings() == (True, True, False, True)
        with allow_tf32(allowed=False):
            assert settings() == (False, False, False, True)
        assert settings() == (True, True, False, True)
    assert settings() == before
    with pytest.raises(KeyError), allow_tf32(allowed=True):
        raise KeyError
    assert settings() == before


def test_two_threads_do_not_mix_up_the_settings() -> None:
    before, inside, seen = settings(), threading.Event(), []

    def other() -> None:
        inside.wait()
        with allow_tf32(allowed=False):
            seen.append(settings()[:2])

    thread = threading.Thread(target=other)
    thread.start()
    with allow_tf32(allowed=True):
        inside.set()
        thread.join(timeout=0.2)
        assert settings()[:2] == (True, True)
    thread.join()
    assert seen == [(False, False)]
    assert settings() == before


@pytest.mark.parametrize("place", ["cpu", pytest.param("cuda", marks=[pytest.mark.cuda, needs_gpu])])
def test_frames_under_way_do_not_share_memory(place: str) -> None:
    lane = Lane(ramp, torch.device(place), record=True)
    pending = [lane.start(i, output) for i in range(4) for output in (FloatPlanes(), Rgb8())]
    made = [one.wait()[0] for one in pending]
    for i in range(4):
        np.testing.assert_allclose(made[2 * i], i / 10)
        assert (made[2 * i + 1] == int(i * 25.5 + 0.5)).all()
        made[2 * i][:] = 9
    assert made[3][0, 0, 0] == int(25.5 + 0.5)
    np.testing.assert_allclose(lane.compute(2).cpu(), 0.2)


def test_a_lane_that_nobody_wants_is_gone_at_once() -> None:
    lane = Lane(ramp, CPU, record=True)
    for output in (Rgb8(), FloatPlanes()):
        lane.start(1, output).wait()
    gone = weakref.ref(lane)
    gc.disable()
    try:
        del lane
        assert gone() is None, "its memory would stay until Python looks for cycles"
    finally:
        gc.enable()


def test_a_conversion_that_cannot_be_recorded_is_done_frame_by_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    place = torch.empty(1, 3, 4, 6)  # as frames of a graph lie in one
    lane = Lane(lambda index: place.copy_(ramp(index)), CPU, record=False)
    plain = module._Recorded

    def refused(*arguments: Any, record: bool, tf32: bool) -> module._Recorded:
        if record:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")
        return plain(*arguments, record=False, tf32=tf32)

    monkeypatch.setattr(module, "_Recorded", refused)
    monkeypatch.setattr(lane, "_record", True)
    for i in (1, 2):
        assert (lane.start(i, Rgb8()).wait()[0] == int(i * 25.5 + 0.5)).all()


def test_memory_that_runs_out_in_a_recording_is_told_as_that() -> None:
    def recording(error: RuntimeError) -> None:
        with module._memory_told():
            try:
                raise error
            finally:
                raise RuntimeError("CUDA error: operation failed due to a previous error during capture")

    with pytest.raises(torch.OutOfMemoryError, match="no room"):
        recording(torch.OutOfMemoryError("no room"))
    with pytest.raises(RuntimeError, match="previous error"):
        recording(RuntimeError("a value was read"))


class _Stream:
    """A stream that notes whom it waits for."""

    def __init__(self, name: str, log: list[str]) -> None:
        self._name, self._log = name, log

    def wait_stream(self, other: "_Stream") -> None:
        self._log.append(f"{self._name} waits for {other._name}")


def test_a_frame_on_the_device_is_read_before_the_next_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []

    def network(index: Tensor) -> Tensor:
        log.append("network")
        return ramp(index)

    lane = Lane(network, CPU, record=False)
    here: Any = _Stream("caller", log)
    monkeypatch.setattr(lane, "_stream", _Stream("lane", log))
    monkeypatch.setattr(module.torch.cuda, "current_stream", lambda _: here)
    monkeypatch.setattr(module.torch.cuda, "stream", lambda _: contextlib.nullcontext())
    lane.compute(1)
    assert log == ["network", "caller waits for lane"]
    log.clear()
    lane.compute(2)
    assert log == ["lane waits for caller", "network", "caller waits for lane"]


def test_streams_of_lanes_that_are_gone_are_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class User:
        pass

    monkeypatch.setattr(module.torch.cuda, "Stream", lambda _: object())
    streams, place = module._Streams(), torch.device("cuda:1")
    one, other = User(), User()
    first, second = streams.take(place, one), streams.take(place, other)
    assert first is not second
    del one
    assert streams.take(torch.device("cuda:0"), other) is not first
    assert streams.take(place, other) is first


def test_a_device_without_a_number_is_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.torch.cuda, "current_device", lambda: 3)
    names = [str(module.numbered(torch.device(name))) for name in ("cuda", "cuda:1", "cpu")]
    assert names == ["cuda:3", "cuda:1", "cpu"]


def test_pinned_memory_counts_as_long_as_a_caller_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = torch.empty
    monkeypatch.setattr(module.torch, "empty", lambda shape, dtype, **_: empty(shape, dtype=dtype))
    monkeypatch.setattr(module, "PINNED_BUDGET", 100)
    pinned = module._Pinned()
    memory, array = pinned.take(torch.zeros(101, dtype=torch.uint8))
    part = array[3:5]
    memory.fill_(7)
    del memory, array
    assert pinned.exhausted
    assert part.tolist() == [7, 7]
    del part
    assert not pinned.exhausted


def test_memory_is_not_given_back_while_a_graph_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    given = threading.Event()
    monkeypatch.setattr(module.torch.cuda, "empty_cache", given.set)
    with module._recording:
        thread = threading.Thread(target=module.return_memory)
        thread.start()
        assert not given.wait(0.1)
    thread.join()
    assert given.is_set()


@pytest.mark.cuda
@needs_gpu
def test_a_caller_that_keeps_frames_leaves_pinned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane(ramp, torch.device("cuda"), record=True)
    monkeypatch.setattr(module, "PINNED_BUDGET", 3 * 4 * 6 * 4)
    kept = [lane.start(i, FloatPlanes()).wait()[0] for i in range(5)]
    assert module._pinned._held <= 2 * 3 * 4 * 6 * 4
    for i, one in enumerate(kept):
        np.testing.assert_allclose(one, i / 10)


@pytest.mark.cuda
@needs_gpu
def test_what_cannot_be_recorded_is_an_error_that_leaves_the_device_well() -> None:
    def reads(index: Tensor) -> Tensor:
        return torch.full((1, 3, 4, 6), float(index.item()), device="cuda")

    with pytest.raises(RuntimeError):
        Lane(reads, torch.device("cuda"), record=True)
    assert Lane(reads, torch.device("cuda"), record=False).start(2, FloatPlanes()).wait()[0].max() == 2
