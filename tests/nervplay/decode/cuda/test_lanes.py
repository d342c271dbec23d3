"""Lanes: what they record, what they leave as PyTorch had it, whose memory a frame is."""

import threading

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
