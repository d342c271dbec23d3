"""What calibration finds, keeps and gives up."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nervplay.decode import calibration
from nervplay.decode.calibration import calibrate, spread
from nervplay.decode.graph import Value
from nervplay.decode.loss import Need
from nervplay.decode.lowering import Conv

NEED = Need(57.0, 57.0)


def conv(seed: int, size: int = 8) -> Conv:
    rng = np.random.default_rng(seed)
    value = Value(seed, (), torch.float32)
    return Conv(
        weight=rng.standard_normal((4, 4, 3, 3)).astype(np.float32), bias=np.zeros(4, np.float32), padding=(1, 1),
        source=value, target=value, size=(size, size), out_size=(size, size),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


class Bench:
    """A network of three convolutions, each of which costs a known error."""

    def __init__(self, errors: list[float]) -> None:
        self.errors = errors
        self.convs = [conv(seed) for seed in range(len(errors))]
        self.measured: list[int] = []

    def convolutions(self) -> list[Conv]:
        return self.convs

    def measure(self, index: int) -> None:
        self.measured.append(index)

    def found(self, one: Conv) -> np.ndarray:
        assert one in self.convs
        return np.full((64, 16), 1 + len(self.measured), np.float32)

    def frame(self, index: int, peaks: dict[Conv, np.ndarray]) -> Tensor:
        error = sum(e**2 for one, e in zip(self.convs, self.errors, strict=True) if one in peaks) ** 0.5
        return torch.full((1, 3, 4, 4), 0.5 + error)


def test_all_stay_where_the_error_is_small() -> None:
    bench = Bench([1e-4, 1e-4, 1e-4])
    steps: list[tuple[int, int]] = []
    peaks = calibrate(bench, 100, NEED, lambda *step: steps.append(step))
    assert list(peaks) == bench.convs
    assert bench.measured == spread(100, 12, 0.0)
    assert peaks[bench.convs[0]].max() == 13
    assert steps == [(i + 1, 23) for i in range(23)]


def test_the_worst_goes_back_to_float32() -> None:
    bad = 10 ** (-(NEED.worst - 3) / 20)
    bench = Bench([1e-4, bad, 2e-4])
    assert list(calibrate(bench, 100, NEED)) == [bench.convs[0], bench.convs[2]]


def test_a_little_work_goes_back_before_much(tmp_path: Path) -> None:
    bad = 10 ** (-(NEED.worst - 1) / 20)
    bench = Bench([bad, bad * 0.9])
    bench.convs[0] = conv(0, size=80)
    assert list(calibrate(bench, 100, NEED)) == [], "neither alone is good enough"
    bench.errors = [bad * 0.7, bad * 0.6]
    for path in (tmp_path / "nervplay" / "calibration").iterdir():
        path.unlink()
    assert list(calibrate(bench, 100, NEED)) == [bench.convs[0]], "the larger error, but a hundred times the work"


def test_the_cache_is_of_one_network_and_survives_damage(tmp_path: Path) -> None:
    first, again = Bench([1e-4, 1.0, 1e-4]), Bench([1e-4, 1.0, 1e-4])
    found = calibrate(first, 100, NEED)
    known = calibrate(again, 100, NEED)
    assert again.measured == []
    assert [again.convs.index(one) for one in known] == [0, 2]
    np.testing.assert_array_equal(known[again.convs[0]], found[first.convs[0]])
    assert Bench([1e-4]).convs[0].weight.tobytes() == again.convs[0].weight.tobytes()
    other = Bench([1e-4])
    calibrate(other, 100, NEED)
    assert other.measured, "another network"
    for path in (tmp_path / "nervplay" / "calibration").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    third = Bench([1e-4, 1.0, 1e-4])
    calibrate(third, 100, NEED)
    assert third.measured


def test_engines_do_not_take_each_other_s_findings() -> None:
    calibrate(Bench([1e-4]), 100, NEED)
    other = Bench([1e-4])
    calibrate(other, 100, NEED, kind=" another")
    assert other.measured
    stricter = Bench([1e-3])
    assert calibrate(stricter, 100, Need(80.0, 80.0)) == {}
    assert len(calibrate(Bench([1e-3]), 100, Need(50.0, 50.0))) == 1


def test_all_frames_together_may_have_to_be_better() -> None:
    assert len(calibrate(Bench([1e-3]), 100, Need(59.0, 50.0))) == 1
    assert calibrate(Bench([1e-3]), 100, Need(61.0, 50.0)) == {}


def test_a_cache_that_cannot_be_written_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert len(calibrate(Bench([1e-4]), 100, NEED)) == 1


def test_frames_are_spread() -> None:
    assert spread(132, 4, 0.0) == [0, 33, 66, 99]
    assert spread(132, 4, 0.5) == [16, 49, 82, 115]
    assert spread(2, 4, 0.5) == [0, 1]
    assert (calibration.MEASURED, calibration.COMPARED) == (12, 4)
