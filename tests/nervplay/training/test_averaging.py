"""The running mean of the weights: its formula, and that a fit ends with it however often it was stopped."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nervplay.errors import Interrupted, UsageError
from nervplay.models.base import ModelConfig
from nervplay.training import Phase, Recipe, fit
from nervplay.training.averaging import WeightMean
from nervplay.video.source import ArraySource

RECIPE = Recipe(epochs=4, batch_size=2, learning_rate=0.05, schedule="const", ema=0.8)


def test_the_mean_is_that_of_the_formula() -> None:
    layer = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(5.0)
    mean, expected = WeightMean(layer, 0.7), 5.0
    for steps, value in enumerate((1.0, 2.0, 4.0, 8.0, 16.0, 32.0), 1):
        with torch.no_grad():
            layer.weight.fill_(value)
        mean.add(steps)
        decay = min(0.7, steps / (9 + steps))
        expected = decay * expected + (1 - decay) * value
    assert mean.tensors()["mean.weight"].item() == pytest.approx(expected)
    mean.put()
    assert layer.weight.item() == pytest.approx(expected)


def test_without_a_decay_there_is_no_mean() -> None:
    layer = nn.Linear(2, 2)
    before = layer.weight.clone()
    mean = WeightMean(layer, None)
    mean.add(1)
    mean.put()
    assert not mean.tensors()
    assert torch.equal(layer.weight, before)


@pytest.fixture
def fitted(plain: Any, plain_config: ModelConfig, moving_clip: ArraySource) -> Any:
    """A function that fits `Plain` and returns its stored state."""

    def run(recipe: Recipe = RECIPE, **more: Any) -> dict[str, Tensor]:
        torch.manual_seed(0)
        model = plain(plain_config, encoder=True, noise=0.05)
        if "stop_after" in more:
            count = more.pop("stop_after")
            more["stop"] = lambda: len(model.seen) == count
        return fit(model, moving_clip, recipe, device="cpu", **more).model.stored_state()

    return run


def test_a_fit_ends_with_the_mean(fitted: Any) -> None:
    last, mean = fitted(RECIPE.replace(ema=None)), fitted()
    assert not torch.equal(last["picture"], mean["picture"])
    assert torch.equal(fitted(RECIPE.replace(ema=0.0))["picture"], last["picture"]), "a mean that forgets at once"


@pytest.mark.parametrize("stop", [1, 5, 11])
def test_a_stop_leaves_no_trace(fitted: Any, tmp_path: Path, stop: int) -> None:
    expected, path = fitted(), tmp_path / "r"
    with pytest.raises(Interrupted):
        fitted(resume=path, stop_after=stop)
    for _ in range(2):  # the second time everything is done already
        for name, value in fitted(resume=path).items():
            assert torch.equal(value, expected[name]), name


def test_phases_begin_with_the_mean(fitted: Any, tmp_path: Path) -> None:
    phased = RECIPE.replace(phases=(Phase(epochs=1, rate=1e-9, schedule="const"),))
    assert torch.allclose(fitted(phased)["picture"], fitted()["picture"], atol=1e-6)
    with pytest.raises(Interrupted):
        fitted(phased, resume=tmp_path / "r", stop_after=14)
    assert torch.equal(fitted(phased, resume=tmp_path / "r")["picture"], fitted(phased)["picture"])


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_other_decays_are_refused(decay: float) -> None:
    with pytest.raises(UsageError, match=r"ema .* must be in \[0, 1\), or none"):
        Recipe(ema=decay)
