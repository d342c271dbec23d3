"""One step of a fit: rate, batch, loss, clipping, update; and the settings that make it deterministic."""

from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch

from nervplay.errors import UsageError
from nervplay.metrics import float_psnr
from nervplay.models.base import ModelConfig
from nervplay.training import Recipe
from nervplay.training.frames import ClipFrames, epoch_order
from nervplay.training.run import Run, deterministic
from nervplay.video.source import ArraySource

CPU = torch.device("cpu")
RECIPE = Recipe(epochs=4, batch_size=2, learning_rate=0.01, schedule="cosine_0.5_1_0.1")


@pytest.fixture
def start(plain: Any, plain_config: ModelConfig, moving_clip: ArraySource) -> Any:
    """A function that makes a run of `Plain` with the given recipe."""

    def make(recipe: Recipe = RECIPE) -> Run:
        torch.manual_seed(0)
        return Run(plain(plain_config, encoder=True), ClipFrames(moving_clip, CPU), recipe)

    return make


def test_a_step_equals_adam_by_hand(start: Any, moving_clip: ArraySource) -> None:
    run, twin = start(), start()
    adam = torch.optim.Adam(twin.model.parameters(), lr=0.01 * 0.1, betas=(0.9, 0.999))
    index = epoch_order(1, 0, 6)[:2]
    batch = ClipFrames(moving_clip, CPU).batch(index)
    low, full = twin.model.training_pairs(index, batch)
    mse = torch.nn.functional.mse_loss
    loss = 0.25 * mse(low.prediction, low.target) + mse(full.prediction, batch)
    loss.backward()
    adam.step()
    run.begin_epoch(0)
    run.train_step(0)
    for name, value in twin.model.state_dict().items():
        assert torch.equal(run.model.state_dict()[name], value), name
    assert run.record.losses[0] == loss
    assert torch.equal(run.record.psnrs[0], float_psnr(full.prediction, batch))
    assert (run.epoch, run.step, run.finished_steps) == (0, 1, 1)


def test_the_rate_follows_the_schedule_in_every_step(start: Any) -> None:
    run, rates = start(), []
    for epoch in range(4):
        for step in range(run.begin_epoch(epoch), run.steps):
            run.train_step(step)
            rates.append(run.optimiser.param_groups[0]["lr"])
    assert run.finished_steps == 12
    assert rates[:7] == pytest.approx([0.01 * (0.1 + 0.9 * i / 6) for i in range(7)])
    assert rates[-1] == pytest.approx(0.01 * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * 5 / 6)).item()))


@pytest.mark.parametrize(("size", "steps"), [(1, 6), (2, 3), (4, 1), (6, 1)])
def test_an_epoch_goes_through_the_order_and_drops_the_rest(start: Any, size: int, steps: int) -> None:
    run = start(RECIPE.replace(batch_size=size))
    assert run.steps == steps
    for epoch in (0, 1):
        run.model.seen.clear()
        for step in range(run.begin_epoch(epoch), run.steps):
            run.train_step(step)
        assert list(chain(*run.model.seen)) == epoch_order(1, epoch, 6)[: size * steps].tolist()
        assert {len(batch) for batch in run.model.seen} == {size}


def test_a_batch_larger_than_the_clip_is_refused(start: Any) -> None:
    with pytest.raises(UsageError, match="batch size 7 is more than the 6 frames"):
        start(RECIPE.replace(batch_size=7))
    with pytest.raises(UsageError, match="batch size 2 times 4 batches per update is more than the 6 frames"):
        start(RECIPE.replace(batch_size=2, accumulate=4))


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_accumulated_batches_are_one_large_batch(start: Any, clip: float | None) -> None:
    whole, parts = (start(RECIPE.replace(batch_size=6 // n, accumulate=n, grad_clip=clip)) for n in (1, 3))
    for run in (whole, parts):
        assert run.steps == 1
        run.begin_epoch(0)
        run.train_step(0)
    assert {len(batch) for batch in parts.model.seen} == {2}
    assert list(chain(*parts.model.seen)) == list(chain(*whole.model.seen))
    for name, gradient in ((name, it.grad) for name, it in whole.model.named_parameters() if it.grad is not None):
        torch.testing.assert_close(parts.model.get_parameter(name).grad, gradient, rtol=1e-4, atol=1e-8)
    torch.testing.assert_close(parts.record.losses, whole.record.losses, rtol=1e-5, atol=0)
    torch.testing.assert_close(parts.record.psnrs, whole.record.psnrs, rtol=1e-5, atol=0)


def test_accumulated_gradients_outlive_the_memory_of_a_graph(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, parts = (start(RECIPE.replace(batch_size=6 // n, accumulate=n)) for n in (1, 3))
    made: list[torch.Tensor] = []  # what backward steps have made, which a graph writes over
    for parameter in parts.model.parameters():
        parameter.register_post_accumulate_grad_hook(lambda it: made.append(it.grad.detach()))
    compute = parts._eager_objective

    def overwriting(*inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        for gradient in made:
            gradient.fill_(torch.nan)
        made.clear()
        result: tuple[torch.Tensor, torch.Tensor] = compute(*inputs)
        return result

    monkeypatch.setattr(parts._speed, "graphs", True)
    monkeypatch.setattr(parts, "_objective", overwriting)
    for run in (whole, parts):
        run.begin_epoch(0)
        run.train_step(0)
    for name, gradient in ((name, it.grad) for name, it in whole.model.named_parameters() if it.grad is not None):
        torch.testing.assert_close(parts.model.get_parameter(name).grad, gradient, rtol=1e-4, atol=1e-8)


def test_gradients_are_clipped_only_when_asked(start: Any) -> None:
    norms = {}
    for clip in (None, 1e-4):
        run = start(RECIPE.replace(grad_clip=clip))
        run.begin_epoch(0)
        run.train_step(0)
        grads = [p.grad.flatten() for p in run.model.parameters() if p.grad is not None]
        norms[clip] = torch.cat(grads).norm().item()
    assert norms[None] > 1e-3
    assert norms[1e-4] == pytest.approx(1e-4, rel=1e-3)


def test_a_loaded_run_stands_where_the_saved_one_stood(start: Any, tmp_path: Path) -> None:
    run = start()
    for step in range(run.begin_epoch(0), 3):
        run.train_step(step)
    run.begin_epoch(1)
    run.train_step(0)
    run.save(tmp_path / "r", {"a": 1})
    other = start()
    other.load(tmp_path / "r", {"a": 1})
    assert (other.epoch, other.step, other.finished_steps) == (1, 1, 4)
    assert other.begin_epoch(1) == 1, "goes on inside the epoch"
    assert torch.equal(other.record.losses, run.record.losses)
    assert other.begin_epoch(2) == 0


def test_divergence_names_epoch_step_and_the_way_out(start: Any) -> None:
    run = start()
    run.begin_epoch(0)
    run.train_step(0)
    run.check_finite()
    run.model.scale = float("inf")
    run.train_step(1)
    with pytest.raises(UsageError, match=r"became (nan|inf) in epoch 1 of 4, step 2 of 3; use a lower .* than 0\.01"):
        run.check_finite()


def test_settings_of_the_process_come_back() -> None:
    def settings() -> list[bool]:
        memory: Any = torch.utils.deterministic
        cudnn = torch.backends.cudnn
        on = torch.are_deterministic_algorithms_enabled()
        return [on, memory.fill_uninitialized_memory, cudnn.deterministic, cudnn.benchmark]

    before = settings()
    for device, inside in ((CPU, [True, False, *before[2:]]), (torch.device("cuda"), [*before[:2], True, False])):
        with suppress(ValueError), deterministic(device):
            assert settings() == inside
            raise ValueError
        assert settings() == before
