"""Optimisers without PyTorch's compiler compute what they did with it, and a fit does not import it."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from nervplay.training.eager import Adam, eager
from nervplay.training.optimisers import Adan

FIT = """
import sys
import numpy as np
from nervplay.models import build_model, resolve_preset
from nervplay.training import Recipe, fit
from nervplay.video.source import ArraySource

entry, preset = resolve_preset("hnerv-tiny")
clip = ArraySource(np.zeros((2, 16, 32, 3), np.uint8))
for speed in ("exact", "fast"):
    fit(build_model(entry.name, preset.configure(32, 16, 2)), clip, Recipe(epochs=2, speed=speed))
    assert "torch._dynamo" not in sys.modules, speed
"""


def path(kind: Any, **options: Any) -> list[torch.Tensor]:
    """Weights after each of some steps; halfway the optimiser's state goes into a fresh one."""
    torch.manual_seed(0)
    weights, factors = nn.Parameter(torch.randn(7)), torch.rand(7)
    optimiser, met = kind([weights], lr=0.1, **options), []
    for step in range(8):
        if step == 4:
            state = optimiser.state_dict()
            optimiser = kind([weights], lr=0.3, **options)
            optimiser.load_state_dict(state)
        optimiser.zero_grad()
        (weights.square() * factors).sum().backward()
        optimiser.step()
        met.append(weights.detach().clone())
    return met


@pytest.mark.parametrize(("kind", "options"), [(torch.optim.Adam, {}), (torch.optim.Adam, {"fused": True}), (Adan, {})])
def test_the_same_bits(kind: type[torch.optim.Optimizer], options: dict[str, Any]) -> None:
    for ours, theirs in zip(path(eager(kind), **options), path(kind, **options), strict=True):
        assert torch.equal(ours, theirs)


def test_it_is_the_optimiser_that_it_was() -> None:
    assert issubclass(Adam, torch.optim.Adam)
    assert Adam.__name__ == "Adam"


def test_a_fit_does_not_import_the_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", FIT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
