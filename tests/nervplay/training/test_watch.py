"""Reports are rare, saves rarer, and a stop saves at once and says how to go on."""

import math
from pathlib import Path
from typing import Any

import pytest

from nervplay.errors import Interrupted, UsageError
from nervplay.training import Progress, Recipe
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
        self.bad = False

    @property
    def finished_steps(self) -> int:
        return self.epoch * self.steps + self.step

    def check_finite(self) -> None:
        if self.bad:
            raise UsageError("diverged")

    def save(self, path: Path, identity: Any) -> None:
        assert (path, identity) == (Path("r"), {"a": 1})
        self.saved_at.append(self.step)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of `Watch`."""
    clock = Clock()
    monkeypatch.setattr("nervplay.training.watch.time.monotonic", clock)
    return clock


def watch(run: Any, **changes: Any) -> Watch:
    options: dict[str, Any] = {"resume": Path("r"), "save_every": 1.0, "progress": None, "stop": None}
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
    clock.now, run.step = 102.0, 20
    guard.between_steps()
    assert reports[0].frames_per_second == pytest.approx(10.0)
    assert reports[0].seconds_left == pytest.approx(2 * 80 / 10)


def test_the_last_report_leaves_no_seconds(clock: Clock) -> None:
    run, reports = FakeRun(), []
    run.epoch, run.step = 2, 50
    watch(run, progress=reports.append).report()
    assert reports[0].seconds_left == 0.0
    assert math.isfinite(reports[0].frames_per_second)


def test_a_stop_saves_at_once_and_says_how_to_go_on(clock: Clock) -> None:
    run, answers = FakeRun(), iter([False, False, True])
    guard = watch(run, stop=lambda: next(answers))
    for run.step in (1, 2):
        guard.between_steps()
    run.step = 3
    with pytest.raises(Interrupted, match="epoch 1 of 3, step 3 of 50; saved in r; go on with --resume"):
        guard.between_steps()
    assert run.saved_at == [3]


def test_a_stop_without_resume_file_says_that_nothing_is_kept(clock: Clock) -> None:
    run = FakeRun()
    run.step = 3
    with pytest.raises(Interrupted, match="nothing was saved"):
        watch(run, resume=None, stop=lambda: True).between_steps()
    assert not run.saved_at


@pytest.mark.parametrize("stop", [None, lambda: True])
def test_a_diverged_run_is_never_saved(clock: Clock, stop: Any) -> None:
    run = FakeRun()
    guard = watch(run, stop=stop)
    run.step, run.bad, clock.now = 1, True, 200.0
    with pytest.raises(UsageError, match="diverged"):
        guard.between_steps()
    assert not run.saved_at
