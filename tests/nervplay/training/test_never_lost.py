"""A fit that collapses goes back, one that is limited ends well, and both survive a stop bit for bit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nervplay.errors import CheckpointError, Interrupted, OutputError, UsageError
from nervplay.models.base import ModelConfig, TrainingPair
from nervplay.training import FitResult, Progress, Recipe, fit
from nervplay.training.checkpoint import read_resume_file, write_resume_file
from nervplay.video.source import ArraySource

RECIPE = Recipe(epochs=6, batch_size=2, learning_rate=0.02)


@pytest.fixture
def fragile(plain: Any, plain_config: ModelConfig) -> Any:
    """A function that builds a network which breaks in given steps, counted over everything it does."""

    class Fragile(plain):  # type: ignore[misc]
        def __init__(self, how: str, steps: tuple[int, ...]) -> None:
            super().__init__(plain_config, encoder=True, noise=0.05)
            self.how, self.bad_steps = how, steps
            self.register_buffer("count", torch.zeros((), dtype=torch.int64))
            self.calls = 0

        def training_pairs(self, index: Tensor, frames: Tensor) -> list[TrainingPair]:
            pairs: list[TrainingPair] = super().training_pairs(index, frames)
            self.calls += 1
            if self.calls in self.bad_steps:
                with torch.no_grad():
                    self.picture.fill_(torch.nan if self.how == "nan" else 5.0)
            return pairs

    def build(how: str = "nan", steps: tuple[int, ...] = ()) -> Any:
        torch.manual_seed(0)
        return Fragile(how, steps)

    return build


def state(model: Any) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.stored_state().items()}


@pytest.mark.parametrize(("how", "bad"), [("nan", 2), ("nan", 9), ("nan", 18), ("grey", 8), ("grey", 9), ("grey", 15)])
def test_a_collapsed_fit_goes_back_and_ends_well(
    fragile: Any, moving_clip: ArraySource, how: str, bad: int, caplog: pytest.LogCaptureFixture
) -> None:
    healthy = fit(fragile(), moving_clip, RECIPE, device="cpu")
    assert healthy.rollbacks == 0
    result = fit(fragile(how, (bad,)), moving_clip, RECIPE, device="cpu")
    assert result.rollbacks == 1
    assert "going back to the beginning of epoch" in caplog.text
    assert result.psnr_db > healthy.psnr_db - 3
    assert all(torch.isfinite(value).all() for value in result.model.stored_state().values())


def test_the_rate_is_halved_and_the_fit_does_the_epochs_again(fragile: Any, moving_clip: ArraySource) -> None:
    model = fragile("nan", (8,))
    fit(model, moving_clip, RECIPE.replace(schedule="const", epochs=4), device="cpu")
    # step 8 of 3 per epoch breaks the third epoch; the second began with the last state that is surely good
    assert model.calls == 4 * 3 + (9 - 3)
    assert model.seen[3:6] == model.seen[9:12], "the order of an epoch stays what it was"


def test_going_back_too_often_is_an_error(fragile: Any, moving_clip: ArraySource) -> None:
    always = tuple(range(4, 999))
    with pytest.raises(UsageError, match=r"loss became nan .*; use a lower learning rate than 0\.02"):
        fit(fragile("nan", always), moving_clip, RECIPE, device="cpu")
    with pytest.raises(UsageError, match="collapsed in epoch 2 of 6: the frames have become much worse"):
        fit(fragile("grey", (6, 11)), moving_clip, RECIPE.replace(rollbacks=1, epochs=6), device="cpu")


def test_without_rollbacks_the_first_collapse_is_the_end(fragile: Any, moving_clip: ArraySource) -> None:
    with pytest.raises(UsageError, match="loss became nan in epoch 2 of 6, step 2"):
        fit(fragile("nan", (4,)), moving_clip, RECIPE.replace(rollbacks=0), device="cpu")


@pytest.mark.parametrize("ema", [None, 0.9])
@pytest.mark.parametrize("stop", [1, 4, 7, 8, 10, 13])
def test_stops_around_a_collapse_leave_no_trace(
    fragile: Any, moving_clip: ArraySource, tmp_path: Path, *, stop: int, ema: float | None
) -> None:
    recipe = RECIPE.replace(ema=ema)
    expected = fit(fragile("grey", (8,)), moving_clip, recipe, device="cpu")
    path, model = tmp_path / "r", fragile("grey", (8,))
    with pytest.raises(Interrupted):
        fit(model, moving_clip, recipe, device="cpu", resume=path, stop=lambda: model.calls == stop)
    again = fragile("grey", (8 - stop,))  # the steps are counted from the start of this process
    result = fit(again, moving_clip, recipe, device="cpu", resume=path)
    assert result.rollbacks == expected.rollbacks == 1
    for name, value in state(result.model).items():
        assert torch.equal(value, state(expected.model)[name]), name


def limited(model: Any, clip: ArraySource, monkeypatch: pytest.MonkeyPatch, seconds: float, **more: Any) -> FitResult:
    """Fit with a clock that a step takes a second of."""
    monkeypatch.setattr("nervplay.training.ending.time.monotonic", lambda: float(model.calls))
    return fit(model, clip, RECIPE, device="cpu", time_limit=seconds, **more)


def test_a_time_limit_ends_the_fit_with_its_schedule(
    fragile: Any, moving_clip: ArraySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fragile()
    result = limited(model, moving_clip, monkeypatch, 10.0)
    assert (model.calls, result.ended, result.epochs) == (10, "time limit", pytest.approx(10 / 3))
    assert not result.model.training
    assert limited(fragile(), moving_clip, monkeypatch, 1000.0).ended == "done"


def test_a_time_limit_holds_for_all_runs_together(
    fragile: Any, moving_clip: ArraySource, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, path = fragile(), tmp_path / "r"
    with pytest.raises(Interrupted):
        limited(model, moving_clip, monkeypatch, 10.0, resume=path, stop=lambda: model.calls == 6)
    again = fragile()
    assert limited(again, moving_clip, monkeypatch, 10.0, resume=path).ended == "time limit"
    assert again.calls == 4
    third = fragile()
    assert limited(third, moving_clip, monkeypatch, 5.0, resume=path).ended == "time limit"
    assert third.calls == 0, "the saved state is the result"
    assert torch.equal(third.picture, again.picture)


def test_a_collapse_at_the_time_limit_is_not_the_result(
    fragile: Any, moving_clip: ArraySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fragile("grey", (9,))
    result = limited(model, moving_clip, monkeypatch, 10.0)
    assert result.rollbacks == 1
    assert float(result.model.picture.detach().max()) < 3.0


def test_a_part_that_stands_still_ends_early(fragile: Any, moving_clip: ArraySource) -> None:
    recipe = RECIPE.replace(epochs=50, learning_rate=1e-9, patience=2)
    model = fragile()
    result = fit(model, moving_clip, recipe, device="cpu")
    assert result.ended == "plateau"
    assert 3 <= result.epochs < 20
    assert model.calls == 3 * result.epochs


def test_a_disk_that_is_full_costs_nothing_but_the_saves(
    fragile: Any, moving_clip: ArraySource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fit(fragile(), moving_clip, RECIPE, device="cpu")

    def full(*_: Any) -> None:
        raise OutputError("r was not written: the disk is full; make room or choose another disk")

    monkeypatch.setattr("nervplay.training.run.write_resume_file", full)
    result = fit(fragile(), moving_clip, RECIPE, device="cpu", resume=tmp_path / "r", save_every=0.0)
    assert result.unsaved is not None
    assert torch.equal(result.model.picture, expected.model.picture)
    assert expected.unsaved is None


def test_what_another_run_saves_meanwhile_is_not_replaced(
    fragile: Any, moving_clip: ArraySource, tmp_path: Path
) -> None:
    path = tmp_path / "r"

    def other(_: Progress) -> None:
        path.write_bytes(b"of another run")

    with pytest.raises(OutputError, match="another run saves its state in"):
        fit(fragile(), moving_clip, RECIPE, device="cpu", resume=path, save_every=0.0, progress=other)
    assert path.read_bytes() == b"of another run"


@pytest.mark.parametrize("name", ["course.numbers", "course.best", "course.candidate.model.picture"])
def test_a_resume_file_without_its_course_is_refused(
    fragile: Any, moving_clip: ArraySource, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, model, kept = tmp_path / "r", fragile(), []
    monkeypatch.setattr(
        "nervplay.training.run.write_resume_file",
        lambda path, saved, identity: (write_resume_file(path, saved, identity), kept.append(identity)),
    )
    with pytest.raises(Interrupted):
        fit(model, moving_clip, RECIPE, device="cpu", resume=path, stop=lambda: model.calls == 4)
    saved = read_resume_file(path, kept[0])
    tensors = {key: value for key, value in saved.tensors.items() if key != name}
    write_resume_file(path, type(saved)(epoch=saved.epoch, step=saved.step, tensors=tensors), kept[0])
    with pytest.raises(CheckpointError, match=r"which is damage; .*--overwrite"):
        fit(fragile(), moving_clip, RECIPE, device="cpu", resume=path)
