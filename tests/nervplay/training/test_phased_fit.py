"""A fit in phases, whole: it prunes, keeps what is pruned at 0, and can be stopped anywhere without leaving a trace."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nervplay.errors import CheckpointError, Interrupted, UsageError
from nervplay.models import VideoModel, resolve_preset
from nervplay.training import Phase, PhaseHooks, Progress, Recipe, build_for_training, fit
from nervplay.video.source import ArraySource

PHASES = (Phase(epochs=2, prune=0.3), Phase(epochs=2, rate=0.1, bits=6, quant_noise=0.8))
RECIPES = {
    "nerv-tiny": {"epochs": 2, "batch_size": 2, "phases": PHASES},
    "hnerv-boost-tiny": {"epochs": 2, "batch_size": 2, "phases": PHASES},
    "hinerv-tiny": {"epochs": 2, "batch_size": 12, "patch_size": (32, 16), "phases": PHASES},
}
"""Each goes through 3 steps in each of 6 epochs."""


def fresh(name: str, **changes: Any) -> tuple[VideoModel, Recipe]:
    architecture, preset = resolve_preset(name)
    recipe = Recipe.from_json(preset.recipe).replace(**(RECIPES[name] | changes))
    return build_for_training(architecture.name, preset.configure(64, 48, 6), recipe), recipe


def smallest(model: VideoModel, share: float) -> dict[str, Tensor]:
    """Remove the smallest weights of every matrix."""
    weights = {name: p for name, p in model.named_parameters() if p.ndim > 1 and not name.startswith("encoder.")}
    return {name: p.abs() > torch.quantile(p.detach().abs(), share) for name, p in weights.items()}


HOOKS = PhaseHooks(prune=smallest)


def assert_same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def run(name: str, clip: ArraySource, path: Path, stop: int | None = None, **options: Any) -> dict[str, Tensor]:
    """Fit, or stop after some steps, and return the weights."""
    model, recipe = fresh(name)
    answers = iter([False] * (stop - 1) + [True] if stop else [False] * 99)
    fit(model, clip, recipe, hooks=HOOKS, device="cpu", resume=path, stop=lambda: next(answers), **options)
    return {key: value.clone() for key, value in model.stored_state().items()}


def stopped() -> list[Any]:
    """Return each network and where it is stopped; of the slowest the rarer stops are slow."""
    stops = ((5, 1, 1, 4, 1, 2), (6, 6), (8, 9))
    rare = {("hnerv-boost-tiny", places) for places in stops[1:]}
    return [pytest.param(*it, marks=pytest.mark.slow if it in rare else ()) for it in product(RECIPES, stops)]


@pytest.mark.parametrize(("name", "stops"), stopped())
def test_a_stopped_run_resumes_bit_for_bit(
    name: str, stops: tuple[int, ...], moving_clip: ArraySource, tmp_path: Path
) -> None:
    """Stops lie before, at and behind the seams, which are behind steps 6 and 12."""
    expected = run(name, moving_clip, tmp_path / "whole")
    for stop in stops:
        with pytest.raises(Interrupted, match="of 6, step"):
            run(name, moving_clip, tmp_path / "r", stop)
        torch.rand(3)  # what happens to the generator between two processes changes nothing
    reports: list[Progress] = []
    assert_same_bits(run(name, moving_clip, tmp_path / "r", progress=reports.append), expected)
    assert (reports[0].epoch - 1) * 3 + reports[0].step == sum(stops) + 1, "nothing was done twice"


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_pruned_stays_at_0_and_the_rest_learns(name: str, moving_clip: ArraySource, tmp_path: Path) -> None:
    seen: list[dict[str, Tensor]] = []

    def prune(model: VideoModel, share: float) -> dict[str, Tensor]:
        seen.extend([smallest(model, share), {key: p.detach().clone() for key, p in model.named_parameters()}])
        return seen[0]

    model, recipe = fresh(name)
    fit(model, moving_clip, recipe, hooks=PhaseHooks(prune=prune), device="cpu")
    masks, before = seen
    for key, mask in masks.items():
        value = model.get_parameter(key).detach()
        assert (value == 0).sum() >= (~mask).sum() >= int(0.29 * mask.numel()), key
        assert not torch.equal(value[mask], before[key][mask]), key


def test_a_fitted_network_goes_on_with_phases_alone(moving_clip: ArraySource) -> None:
    """Embeddings stay as they are stored: the encoder is gone, as in a network that comes from a file."""
    model, recipe = fresh("hnerv-boost-tiny", phases=())
    fit(model, moving_clip, recipe, device="cpu")
    stored = type(model)(model.config)
    stored.load_stored_state(model.stored_state())
    before = {key: value.clone() for key, value in stored.stored_state().items()}
    result = fit(stored, moving_clip, recipe.replace(epochs=0, phases=PHASES), hooks=HOOKS, device="cpu")
    after = result.model.stored_state()
    assert torch.equal(after["embedding"], before["embedding"])
    assert not torch.equal(after["head.weight"], before["head.weight"])
    assert result.psnr_db > 0


def test_phases_of_one_network_do_not_go_on_with_another(moving_clip: ArraySource, tmp_path: Path) -> None:
    options: dict[str, Any] = {"hooks": HOOKS, "device": "cpu", "resume": tmp_path / "r"}
    model, recipe = fresh("nerv-tiny", epochs=0)
    with pytest.raises(Interrupted):
        fit(model, moving_clip, recipe, **options, stop=lambda: True)
    model, recipe = fresh("nerv-tiny", epochs=0)
    with torch.no_grad():
        model.get_parameter("head.bias").add_(1e-3)
    with pytest.raises(CheckpointError, match="another run: its start_sha256"):
        fit(model, moving_clip, recipe, **options)


def test_masks_that_fit_nothing_end_the_fit_before_its_phase(moving_clip: ArraySource) -> None:
    model, recipe = fresh("nerv-tiny", epochs=1)
    hooks = PhaseHooks(prune=lambda *_: {"head": torch.ones(1, dtype=torch.bool)})
    with pytest.raises(UsageError, match=r"mask 'head' of .* fits no parameter"):
        fit(model, moving_clip, recipe, hooks=hooks, device="cpu")
