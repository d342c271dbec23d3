"""Muon turns matrices, leaves the rest to Adam, and gets further than Adam in the same steps."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from nervplay.errors import Interrupted
from nervplay.models import resolve_preset
from nervplay.training import FitResult, Recipe, build_for_training, fit
from nervplay.training.efforts import with_effort
from nervplay.training.muon import Muon, muon_groups, orthogonal
from nervplay.video.source import ArraySource


@pytest.mark.parametrize("shape", [(8, 30), (30, 8), (12, 12)])
def test_an_orthogonal_matrix_keeps_directions_and_evens_lengths(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape, dtype=torch.float64)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonal(matrix)
    core = u.T @ found @ v.T
    lengths = core.diagonal()
    assert torch.allclose(core, torch.diag(lengths), atol=1e-9), "the same singular vectors"
    assert lengths.min() > 0.5
    assert lengths.max() < 1.35


def test_groups_know_what_is_a_matrix() -> None:
    model = nn.ModuleDict(
        {
            "conv": nn.Conv2d(8, 16, 3),
            "head": nn.Conv2d(8, 3, 3),
            "depthwise": nn.Conv2d(8, 8, 7, groups=8),
            "linear": nn.Linear(10, 20),
            "norm": nn.LayerNorm(8),
        }
    )
    model.register_parameter("grid", nn.Parameter(torch.zeros(6, 8, 4, 4)))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    matrices, rest = ({names[id(it)] for it in group["params"]} for group in muon_groups(model))
    assert matrices == {"conv.weight", "linear.weight"}
    assert matrices | rest == set(names.values())
    assert "grid" in rest


def test_one_step_by_hand() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(9, 4)
    before, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    optimiser = Muon(muon_groups(layer), lr=0.01)
    layer(torch.rand(5, 9)).square().sum().backward()
    optimiser.step()
    assert layer.weight.grad is not None
    assert layer.bias.grad is not None
    moved = (before - layer.weight.detach()) / (0.01 * 0.2 * 9**0.5)
    # a mean of one gradient with itself has its direction
    torch.testing.assert_close(moved, orthogonal(layer.weight.grad), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(layer.bias.detach(), bias - 0.01 * layer.bias.grad.sign())


def test_outside_its_groups_it_is_adam() -> None:
    torch.manual_seed(0)
    start = torch.rand(5, 3)
    results = []
    for make in (lambda p: Muon([p], lr=0.01), lambda p: torch.optim.Adam([p], lr=0.01)):
        parameter = nn.Parameter(start.clone())
        optimiser = make(parameter)
        for step in range(4):
            optimiser.zero_grad()
            (parameter.square().sum() * (step + 1)).backward()
            optimiser.step()
        results.append(parameter.detach())
    torch.testing.assert_close(*results)


def test_a_fit_with_it_learns_and_resumes_bit_for_bit(moving_clip: ArraySource, tmp_path: Path) -> None:
    architecture, preset = resolve_preset("hnerv-tiny")
    recipe = with_effort(Recipe(epochs=40), "fast")
    assert recipe.optimiser == "muon"

    def run(path: Path | None = None, stop: Callable[[], bool] | None = None) -> FitResult:
        model = build_for_training(architecture.name, preset.configure(64, 48, 6), recipe)
        return fit(model, moving_clip, recipe, device="cpu", resume=path, stop=stop)

    whole, calls = run(), iter(range(1, 99))
    assert whole.psnr_db > 12
    with pytest.raises(Interrupted):
        run(tmp_path / "r", stop=lambda: next(calls) == 9)
    resumed = run(tmp_path / "r").model.stored_state()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.model.stored_state().items())
