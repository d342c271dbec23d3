"""What calibration finds, keeps and gives up."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nervplay.decode import calibration
from nervplay.decode.calibration import calibrate, spread
from nervplay.decode.carried import to_record
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

    def __init__(self, errors: list[float], **rest_errors: float) -> None:
        self.errors = errors
        self.rest_errors = rest_errors | {"float32": 0.0}
        self.convs = [conv(seed) for seed in range(len(errors))]
        self.measured: list[int] = []
        self.drawn: list[int] = []

    def convolutions(self) -> list[Conv]:
        return self.convs

    def numbered(self) -> list[Conv]:
        return self.convs

    def rests(self) -> tuple[str, ...]:
        return tuple(self.rest_errors)

    def sizes(self, _one: Conv) -> list[tuple[int, int]]:
        return [(64 * 16, 8)]

    def to_codes(self, _one: Conv, found: np.ndarray) -> list[np.ndarray]:
        return [found.astype(np.uint8).ravel()]

    def from_codes(self, _one: Conv, codes: list[np.ndarray]) -> np.ndarray:
        return codes[0].astype(np.float32).reshape(64, 16)

    def measure(self, index: int) -> None:
        self.measured.append(index)

    def found(self, one: Conv) -> np.ndarray:
        assert one in self.convs
        return np.full((64, 16), 1 + len(self.measured), np.float32)

    def frame(self, index: int, peaks: dict[Conv, np.ndarray], rest: str = "float32") -> Tensor:
        self.drawn.append(index)
        error = sum(e**2 for one, e in zip(self.convs, self.errors, strict=True) if one in peaks) ** 0.5
        error += self.rest_errors[rest]
        return torch.full((1, 3, 4, 4), 0.5 + error)


def test_all_stay_where_the_error_is_small() -> None:
    bench = Bench([1e-4, 1e-4, 1e-4])
    steps: list[tuple[int, int]] = []
    peaks, rest = calibrate(bench, 100, NEED, lambda *step: steps.append(step))
    assert rest == "float32"
    assert list(peaks) == bench.convs
    assert bench.measured == spread(100, 12, 0.0)
    assert peaks[bench.convs[0]].max() == 13
    assert steps == [(i + 1, 23) for i in range(23)]


def test_the_worst_goes_back_to_float32() -> None:
    bad = 10 ** (-(NEED.worst - 3) / 20)
    bench = Bench([1e-4, bad, 2e-4])
    assert list(calibrate(bench, 100, NEED).peaks) == [bench.convs[0], bench.convs[2]]


def test_a_little_work_goes_back_before_much(tmp_path: Path) -> None:
    bad = 10 ** (-(NEED.worst - 1) / 20)
    bench = Bench([bad, bad * 0.9])
    bench.convs[0] = conv(0, size=80)
    assert list(calibrate(bench, 100, NEED).peaks) == [], "neither alone is good enough"
    bench.errors = [bad * 0.7, bad * 0.6]
    for path in (tmp_path / "nervplay" / "calibration").iterdir():
        path.unlink()
    assert list(calibrate(bench, 100, NEED).peaks) == [bench.convs[0]], "the larger error, but a hundred times the work"


def test_the_cache_is_of_one_network_and_survives_damage(tmp_path: Path) -> None:
    first, again = Bench([1e-4, 1.0, 1e-4]), Bench([1e-4, 1.0, 1e-4])
    found = calibrate(first, 100, NEED).peaks
    known = calibrate(again, 100, NEED).peaks
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
    assert calibrate(stricter, 100, Need(80.0, 80.0)).peaks == {}
    assert len(calibrate(Bench([1e-3]), 100, Need(50.0, 50.0)).peaks) == 1


def test_all_frames_together_may_have_to_be_better() -> None:
    assert len(calibrate(Bench([1e-3]), 100, Need(59.0, 50.0)).peaks) == 1
    assert calibrate(Bench([1e-3]), 100, Need(61.0, 50.0)).peaks == {}


def test_a_cache_that_cannot_be_written_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert len(calibrate(Bench([1e-4]), 100, NEED).peaks) == 1


def test_the_rest_is_as_fast_as_leaves_room_for_integers() -> None:
    allowed = 10 ** (-NEED.worst / 20)
    assert calibrate(Bench([1e-4], bfloat16=allowed / 2), 100, NEED).rest == "bfloat16"
    bench = Bench([allowed * 0.6], bfloat16=allowed * 0.8)
    for kind in ("other", "other"):  # the second time from the cache
        found = calibrate(bench, 100, NEED, kind=kind)
        assert (list(found.peaks), found.rest) == (bench.convs, "float32"), "bfloat16 would take it all"


def test_what_a_file_brings_is_taken_where_a_frame_agrees() -> None:
    here = Bench([1e-4, 1e-4], bfloat16=1.0)
    record = to_record(here, {here.convs[1]: np.full((64, 16), 7, np.float32)})
    found = calibrate(here, 100, NEED, carried=record)
    assert (list(found.peaks), found.rest) == ([here.convs[1]], "float32")
    assert found.peaks[here.convs[1]].max() == 7
    assert here.measured == []
    assert set(here.drawn) == {50}
    again = Bench([1e-4, 1e-4], bfloat16=1.0)
    assert list(calibrate(again, 100, NEED, carried=record).peaks) == [again.convs[1]]
    assert again.drawn == [], "the cache knows it"


def test_what_a_file_brings_has_no_faster_rest_than_the_mean_allows() -> None:
    mild, strict = Need(50.0, 30.0), Need(60.0, 30.0)
    bench = Bench([1e-4], bfloat16=2e-3)
    record = to_record(bench, {bench.convs[0]: np.full((64, 16), 7, np.float32)})
    assert calibrate(bench, 100, mild, carried=record).rest == "bfloat16"
    assert calibrate(bench, 100, strict, carried=record).rest == "float32"
    assert bench.measured == []


def test_what_a_file_brings_is_not_taken_where_it_is_wrong() -> None:
    for errors in ([1.0, 1e-4], [float("nan"), 1e-4]):
        bench = Bench(errors)
        record = to_record(bench, {bench.convs[0]: np.full((64, 16), 7, np.float32)})
        found = calibrate(bench, 100, NEED, kind=str(errors), carried=record)
        assert bench.measured
        assert bench.convs[0] not in found.peaks
    whole = to_record(bench, {bench.convs[1]: np.full((64, 16), 7, np.float32)})
    for damaged in (b"\0", whole[:-1], whole + b"\0", b"\x03" + whole[1:]):
        bench = Bench([1e-4, 1e-4])
        assert len(calibrate(bench, 100, NEED, carried=damaged).peaks) == 2
        assert bench.measured


def test_frames_are_spread() -> None:
    assert spread(132, 4, 0.0) == [0, 33, 66, 99]
    assert spread(132, 4, 0.5) == [16, 49, 82, 115]
    assert spread(2, 4, 0.5) == [0, 1]
    assert (calibration.MEASURED, calibration.COMPARED) == (12, 4)
