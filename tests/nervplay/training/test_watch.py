"""Reports are rare, saves rarer, and a stop saves at once and says how to go on."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from nervplay.errors import Interrupted, OutputError
from nervplay.training import Progress, Recipe
from nervplay.training.course import Course
from nervplay.training.ending import TimeLimit
from nervplay.training.watch import Watch


class Clock:
    """`time.monotonic`, moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class FakeRecord:
    """Means that name the step."""

    def means(self, done: int) -> tuple[float, float]:
        return 30.0 + done, 1.0 / done


class FakeRun:
    """A run that only counts: 3 epochs of 50 steps of 2 frames."""

    def __init__(self) -> None:
        self.recipe, self.record = Recipe(epochs=3, batch_size=2), FakeRecord()
        self.epoch, self.step, self.steps, self.frames_per_step = 0, 0, 50, 2.0
        self.saved_at: list[int] = []
        self.has_diverged, self.full = False, False
        self.course = Course(100, torch.device("cpu"), self.recipe, TimeLimit(None))

    @property
    def finished_steps(self) -> int:
        return self.epoch * self.steps + self.step

    def save(self, path: Path, identity: Any) -> None:
        assert (path, identity) == (Path("r"), {"a": 1})
        if self.full:
            raise OutputError("r was not written: the disk is full")
        self.saved_at.append(self.step)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of `Watch`."""
    clock = Clock()
    monkeypatch.setattr("nervplay.training.watch.time.monotonic", clock)
    return clock


def watch(run: Any, **changes: Any) -> Watch:
    options: dict[str, Any] = {"resume": Path("r"), "resumed": False, "save_every": 1.0, "progress": None, "stop": None}
    return Watch(run, {"a": 1}, **(options | changes))


def test_at_most_ten_reports_and_one_save_a_second(clock: Clock) -> None:
    run, reports = FakeRun(), []
    guard = watch(run, progress=reports.append)
    for run.step in range(1, 51):
        clock.now = 100.0 + 0.03125 * run.step  # 32 steps a second, exact in binary
        guard.between_steps()
    assert [report.step for report in reports] == list(range(1, 51, 4))
    assert run.saved_at == [33], "the first step at least a second after the start that is also looked at"
    assert reports[2] == Progress(1, 3, 9, 50, 39.0, 1 / 9, 64.0, 2 * 141 / 64)


def test_a_resumed_run_counts_its_own_speed(clock: Clock) -> None:
    run, reports = FakeRun(), []
    run.epoch, run.step = 1, 10
    guard = watch(run, progress=reports.append)
    for run.step in range(11, 21):
        clock.now = 100.0 if run.step < 20 else 102.0
        guard.between_steps()
    assert reports[-1].frames_per_second == pytest.approx(10.0)
    assert reports[-1].seconds_left == pytest.approx(2 * 80 / 10)


def test_a_time_limit_bounds_the_seconds_left(clock: Clock) -> None:
    run, reports = FakeRun(), []
    run.course.limit = TimeLimit(5.0)
    guard = watch(run, progress=reports.append)
    clock.now, run.step = 102.0, 1
    guard.between_steps()
    assert reports[0].seconds_left == pytest.approx(3.0)


def test_the_last_report_leaves_no_seconds(clock: Clock) -> None:
    run, reports = FakeRun(), []
    run.epoch, run.step = 2, 50
    watch(run, progress=reports.append).report()
    assert reports[0].seconds_left == 0.0
    assert math.isfinite(reports[0].frames_per_second)


def test_a_stop_saves_at_once_and_says_where(clock: Clock) -> None:
    run, answers = FakeRun(), iter([False, False, True])
    guard = watch(run, stop=lambda: next(answers))
    for run.step in (1, 2):
        guard.between_steps()
    run.step = 3
    with pytest.raises(Interrupted, match=r"epoch 1 of 3, step 3 of 50; saved in r$"):
        guard.between_steps()
    assert run.saved_at == [3]


def test_a_stop_without_resume_file_says_that_nothing_is_kept(clock: Clock) -> None:
    run = FakeRun()
    run.step = 3
    with pytest.raises(Interrupted, match="nothing was saved"):
        watch(run, resume=None, stop=lambda: True).between_steps()
    assert not run.saved_at


def test_a_diverged_run_is_neither_reported_nor_saved(clock: Clock) -> None:
    run, reports = FakeRun(), []
    guard = watch(run, progress=reports.append)
    run.step, run.has_diverged, clock.now = 1, True, 200.0
    assert guard.between_steps() is False
    assert not run.saved_at
    assert not reports


def test_a_stop_of_a_diverged_run_keeps_the_older_state(clock: Clock) -> None:
    run = FakeRun()
    guard = watch(run, stop=lambda: True)
    run.step, run.has_diverged = 1, True
    with pytest.raises(Interrupted, match="diverged; an older state, if there is one, stays"):
        guard.between_steps()
    assert not run.saved_at


def test_a_full_disk_does_not_end_the_fit(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    run = FakeRun()
    guard = watch(run)
    run.full = True
    for run.step, clock.now in ((1, 102.0), (2, 104.0)):
        assert guard.between_steps()
    assert guard.unsaved is not None
    assert len(caplog.records) == 1, "said once"
    run.full, run.step, clock.now = False, 3, 106.0
    guard.between_steps()
    assert run.saved_at == [3]
    assert guard.unsaved is None


def test_a_stop_on_a_full_disk_says_so(clock: Clock) -> None:
    run = FakeRun()
    run.full, run.step = True, 1
    with pytest.raises(OutputError, match="stopped, but r was not written: the disk is full"):
        watch(run, stop=lambda: True).between_steps()


def test_large_states_are_saved_less_often(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    run = FakeRun()
    guard = watch(run)

    def slow(path: Path, identity: Any) -> None:
        clock.now += 1.0
        run.saved_at.append(run.step)

    monkeypatch.setattr(run, "save", slow)
    for run.step in range(1, 41):
        clock.now += 1.0
        guard.between_steps()
    assert run.saved_at == [1, 21], "a second of every twenty"
