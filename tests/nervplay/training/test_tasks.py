"""A network never learns from what its task hides."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nervplay.errors import UsageError
from nervplay.models import resolve_preset
from nervplay.models.base import ModelConfig
from nervplay.training import Recipe, build_for_training, fit
from nervplay.video.source import ArraySource
from nervplay.video.tasks import parse_task

HIDDEN = ("interpolation", "inpaint-center", "inpaint-disperse_12")


def spoiled(clip: ArraySource, name: str) -> ArraySource:
    """The clip with other pictures where the task hides them."""
    task, frames = parse_task(name), np.stack(list(clip.frames())).copy()
    mask = task.visible(64, 48)
    if mask is None:
        frames[1::2] = 255 - frames[1::2]
    else:
        frames[:, ~mask] = 255 - frames[:, ~mask]
    return ArraySource(frames)


@pytest.mark.parametrize("preset", ["nerv-tiny", "hnerv-tiny", "snerv-tiny", "e-nerv-tiny"])
@pytest.mark.parametrize("task", HIDDEN)
def test_what_is_hidden_changes_nothing(preset: str, task: str, moving_clip: ArraySource) -> None:
    architecture, found = resolve_preset(preset)
    recipe = Recipe.from_json(found.recipe).replace(epochs=1, batch_size=1, loss="L2", task=task)
    states = []
    for clip in (moving_clip, spoiled(moving_clip, task)):
        model = build_for_training(architecture.name, found.configure(64, 48, 6), recipe)
        states.append(fit(model, clip, recipe, device="cpu").model.stored_state())
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def test_an_unseen_frame_has_the_mean_of_its_neighbours(
    plain: Any, plain_config: ModelConfig, moving_clip: ArraySource
) -> None:
    model = plain(plain_config, encoder=True)
    fit(model, moving_clip, Recipe(epochs=1, task="interpolation"), device="cpu")
    assert {index for batch in model.seen for index in batch} == {0, 2, 4}
    code = model.embedding
    assert torch.equal(code[1], (code[0] + code[2]) / 2)
    assert torch.equal(code[5], code[4])


def test_noise_is_learned_and_the_clean_clip_is_not(moving_clip: ArraySource) -> None:
    architecture, found = resolve_preset("nerv-tiny")
    states = []
    for task in ("regression", "denoise-white_0.3"):
        recipe = Recipe(epochs=1, task=task)
        model = build_for_training(architecture.name, found.configure(64, 48, 6), recipe)
        states.append(fit(model, moving_clip, recipe, device="cpu").model.stored_state())
    assert not torch.equal(states[0]["head.weight"], states[1]["head.weight"])


@pytest.mark.parametrize("preset", ["snerv-t-tiny", "dnerv-tiny"])
def test_networks_that_read_neighbours_cannot_interpolate(preset: str, moving_clip: ArraySource) -> None:
    architecture, found = resolve_preset(preset)
    recipe = Recipe(epochs=1, task="interpolation")
    model = build_for_training(architecture.name, found.configure(64, 48, 6), recipe)
    with pytest.raises(UsageError, match="reads the neighbours of a frame"):
        fit(model, moving_clip, recipe, device="cpu")


def test_patches_take_no_task_that_hides(moving_clip: ArraySource, tmp_path: Path) -> None:
    architecture, found = resolve_preset("hinerv-tiny")
    recipe = Recipe(epochs=1, task="inpaint-center", patch_size=(32, 16))
    model = build_for_training(architecture.name, found.configure(64, 48, 6), recipe)
    with pytest.raises(UsageError, match="learned from whole frames"):
        fit(model, moving_clip, recipe, device="cpu")
