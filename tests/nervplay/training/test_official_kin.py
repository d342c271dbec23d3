"""Official SNeRV-B, SNeRV-T and HNeRV-Boost training, done again by ours.

The golden checkpoints were written behind the first steps of the official code; the weights before them are not stored,
but the optimiser gives them back, step by step: its moments say how far the last step went, the network's gradient
there, taken out of the moments, leaves those of the step before. Behind the first step nothing may be left.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nervplay.models import VideoModel, hnerv_boost, snerv, snerv_t
from nervplay.models.base import build_model
from nervplay.training import Recipe
from nervplay.training.frames import ClipFrames
from nervplay.training.run import Run
from nervplay.video.source import ArraySource

Weights = dict[str, Tensor]
EPSILON = 1e-8
FIVE = (5, 2, 2, 2, 2)
CODE: dict[str, Any] = {"frame_count": 4, "embedding_channels": 8, "encoder_width": 32}


@dataclass
class Case:
    """An official run of a few steps.

    Args:
        name: of the golden.
        architecture: registry name.
        config: its configuration.
        rename: from official tensor names to ours.
        recipe: how it was trained.
        order: frame of each step; no other order leaves nothing behind the first step.
    """

    name: str
    architecture: str
    config: Any
    rename: Callable[[Mapping[str, Any]], dict[str, Any]]
    recipe: Recipe
    order: tuple[int, ...]


SNERV_B = Case(
    "snerv_b_tiny",
    "snerv",
    snerv.SNeRVConfig(
        width=384,
        height=192,
        strides=(4, 3, 2, 2, 2),
        encoder_strides=(4, 3, 2, 2, 2),
        channels=24,
        residual_blocks=2,
        **CODE,
    ),
    snerv.rename_upstream_keys,
    Recipe.from_json(snerv.RECIPE).replace(epochs=1),
    (0, 1, 2, 3),
)
SNERV_T = Case(
    "snerv_t_tiny",
    "snerv-t",
    snerv_t.SNeRVTConfig(
        width=320,
        height=160,
        strides=FIVE,
        encoder_strides=FIVE,
        channels=20,
        residual_blocks=2,
        lower_width=8,
        temporal_strides=(2, 2, 2, 2),
        temporal_up=(2,),
        **CODE,
    ),
    snerv_t.rename_upstream_keys,
    # Two steps of the official class, both at one rate of its schedule.
    Recipe.from_json(snerv_t.RECIPE).replace(epochs=1, learning_rate=9.619397662556436e-4, schedule="const"),
    (1, 2),
)
BOOST = Case(
    "hnerv_boost_a",
    "hnerv-boost",
    hnerv_boost.HNeRVBoostConfig(
        width=320,
        height=240,
        strides=FIVE,
        encoder_strides=FIVE,
        channels=19,
        decoder_blocks=(1, 1, 2, 2, 2),
        time_channels=16,
        **CODE,
    ),
    hnerv_boost.rename_upstream_keys,
    Recipe.from_json(hnerv_boost.RECIPE).replace(epochs=1),
    (0, 3, 2, 1),
)


class Golden:
    """What the official code left of a case, in double precision, and our run at its beginning."""

    def __init__(self, case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("nervplay.training.run.epoch_order", lambda *_: torch.tensor(case.order))
        file = torch.load(folder / "checkpoint.pth", weights_only=True)
        self._names, self._rename = list(file["state_dict"]), case.rename
        self._adam = file["optimizer"]
        self.rate: float = self._adam["param_groups"][0]["lr"]
        self.weights: Weights = {name: w.double() for name, w in case.rename(file["state_dict"]).items()}
        with np.load(folder / "io.npz") as io:
            self.frames = ClipFrames(ArraySource(io["input_u8"]), torch.device("cpu"))
            codes = torch.from_numpy(io["pe"]) if "pe" in io else None
        self.model: VideoModel = build_model(case.architecture, case.config, encoder=True).train()
        if codes is not None:  # one of its 80 frequencies is a unit in the last place off
            self.model.get_buffer("time_code").copy_(codes)
        self.run = Run(self.model, self.frames, case.recipe)
        self.run.begin_epoch(0)

    def moment(self, name: str) -> Weights:
        """Return one moment of the official optimiser, by our names."""
        state = {key: self._adam["state"][i][name].double() for i, key in enumerate(self._names)}
        return self._rename(state)

    def load(self, weights: Weights) -> None:
        found = self.model.load_state_dict({name: w.float() for name, w in weights.items()}, strict=False)
        assert not found.unexpected_keys

    def gradients(self, weights: Weights, step: int) -> Weights:
        """Return what our step would give to the optimiser: clipped where the recipe says so."""
        self.load(weights)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.run.optimiser, "step", lambda: None)
            self.run.train_step(step)
        return {name: p.grad.double() for name, p in self.model.named_parameters() if p.grad is not None}

    def rates(self) -> list[float]:
        """Return the rate of every step."""
        rates = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.run, "_learn", lambda *_: None)
            for step in range(len(self.run._order)):
                self.run.train_step(step)
                rates.append(self.run.optimiser.param_groups[0]["lr"])
        return rates


def size(weights: Weights) -> float:
    return float(sum(w.square().sum() for w in weights.values()) ** 0.5)


def off(ours: Weights, theirs: Weights) -> float:
    """Return the relative distance of all tensors together."""
    return size({name: ours[name] - w for name, w in theirs.items()}) / size(theirs)


def unwound(golden: Golden, betas: tuple[float, ...], steps: int) -> Weights:
    """Return the weights before the first step, by undoing all of them; check that the moments then are 0."""
    b1, b2 = betas
    w, m, v = golden.weights, golden.moment("exp_avg"), golden.moment("exp_avg_sq")
    rates = golden.rates()
    assert rates[-1] == pytest.approx(golden.rate, rel=1e-12)
    for k in range(steps, 0, -1):
        if k == 1:  # what is left of v by subtraction is not exact enough, and m says the same
            v = {name: (1 - b2) * (value / (1 - b1)).square() for name, value in m.items()}
        for name, value in v.items():
            step = (m[name] / (1 - b1**k)) / ((value.clamp(min=0) / (1 - b2**k)).sqrt() + EPSILON)
            # early steps of Adam are hardly longer than the rate; where they seem so, v is what rounding left of it
            w = w | {name: w[name] + rates[k - 1] * step.clamp(-1.1, 1.1)}
        g = golden.gradients(w, k - 1)
        before = {name: (m[name] - (1 - b1) * g[name]) / b1 for name in w}
        v = {name: (v[name] - (1 - b2) * g[name].square()) / b2 for name in w}
        if k == 1:
            assert size(before) < 2e-3 * size(m), "nothing is left behind the first step"
        m = before
    return w


@pytest.mark.parametrize("case", [SNERV_B, SNERV_T], ids=lambda case: case.name)
def test_the_official_steps_are_reproduced(case: Case, golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    official = Golden(case, golden / case.name, monkeypatch)
    start = unwound(official, case.recipe.betas, len(case.order))
    official.load(start)
    run = Run(official.model, official.frames, case.recipe)
    run.begin_epoch(0)
    least = {name: torch.full_like(w, torch.inf) for name, w in start.items()}
    for step in range(len(case.order)):
        run.train_step(step)
        for name, p in official.model.named_parameters():
            assert p.grad is not None
            least[name] = torch.minimum(least[name], p.grad.abs())
    parameters = dict(official.model.named_parameters())
    moments = {
        name: {key: run.optimiser.state[p][name].double() for key, p in parameters.items()}
        for name in ("exp_avg", "exp_avg_sq")
    }
    for name, ours in moments.items():
        assert off(ours, official.moment(name)) < 5e-3, name
    # Adam's early steps are as long whatever the gradient's size: one near zero may flip its sign, by rounding, and the
    # weight then goes the other way. What is compared are weights whose gradients never were that small.
    theirs = official.moment("exp_avg")
    rounding = {key: (m - theirs[key]).square().mean().sqrt() for key, m in moments["exp_avg"].items()}
    sure = {key: least[key] > 10 * noise / (1 - case.recipe.betas[0]) for key, noise in rounding.items()}
    assert sum(int(mask.sum()) for mask in sure.values()) > 0.5 * sum(mask.numel() for mask in sure.values())
    moved = {key: (p.detach() - start[key])[sure[key]] for key, p in parameters.items()}
    assert off(moved, {key: (w - start[key])[sure[key]] for key, w in official.weights.items()}) < 5e-3


def test_the_gradient_of_boost_is_the_official_one(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adan keeps the gradient of its last step, and its moments say where that was."""
    official = Golden(BOOST, golden / BOOST.name, monkeypatch)
    b1, b2, b3 = BOOST.recipe.betas
    m, d, v = (official.moment(name) for name in ("exp_avg", "exp_avg_diff", "exp_avg_sq"))
    rates = official.rates()
    assert rates[-1] == pytest.approx(official.rate, rel=1e-12)
    before = {}
    for name, w in official.weights.items():
        ahead = m[name] / (1 - b1**4) + b2 * d[name] / (1 - b2**4)
        before[name] = w + rates[-1] * ahead / ((v[name] / (1 - b3**4)).sqrt() + EPSILON)
    g = official.gradients(before, 3)
    assert off(g, {name: -value for name, value in official.moment("neg_pre_grad").items()}) < 1e-5
