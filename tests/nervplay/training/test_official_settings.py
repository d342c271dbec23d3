"""Recipes say what the official scripts left in their checkpoints; a seed gives the official first weights.

Steps are done again for HNeRV (test_official.py), SNeRV-B, SNeRV-T and HNeRV-Boost (test_official_kin.py) and HiNeRV
(test_official_hinerv.py). They cannot be where a golden lacks the frames that it was trained on (NeRV, E-NeRV, FFNeRV;
of `hnerv_q` there are three of 56) or was not trained (DNeRV, PNeRV, SRNeRV, the other HiNeRVs): of these the settings
are held here, the first weights where a golden has them, losses and networks elsewhere. Which weights are pruned is a
matter of `nervplay.codec`, as coarse weights and bitstreams are.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nervplay.codec.official_arguments import nerv_config, parse_nerv
from nervplay.codec.official_enerv_config import enerv_config
from nervplay.codec.official_ffnerv import ffnerv_config, parse_ffnerv
from nervplay.codec.plain_yaml import read_yaml
from nervplay.models import enerv, ffnerv, hnerv, nerv, resolve_preset
from nervplay.models.base import ModelConfig
from nervplay.training import Recipe, build_for_training, parse_schedule
from nervplay.training.schedule import Position

# By golden: preset, epochs and frames of the official run, and the rate where its parser's defaults were used.
RUNS: dict[str, tuple[str, int, int]] = {
    "nerv_a_90x160_readme_like": ("nerv-s", 2, 7),
    "nerv_d_90x160_bilinear_in_noPE": ("nerv-s", 2, 7),
    "nerv_e_90x160_deconv": ("nerv-s", 2, 7),
    "enerv_a_90x160": ("e-nerv-bunny", 2, 7),
    "ffnerv_b_180x320_conv_fp32_sigmoid": ("ffnerv-representation", 1, 7),
    "hnerv_a": ("hnerv-1.5m-640x1280", 1, 4),
    "hnerv_q": ("hnerv-1.5m-640x1280", 1, 56),
    "hnerv_boost_a": ("hnerv-boost-3m-720x1280", 1, 4),
    "snerv_b_tiny": ("snerv-3m-640x1280", 1, 4),
}


@pytest.mark.parametrize("name", RUNS)
def test_the_recipe_ends_where_the_official_run_ended(golden: Path, name: str) -> None:
    preset, epochs, frames = RUNS[name]
    recipe = Recipe.from_json(resolve_preset(preset)[1].recipe).replace(epochs=epochs)
    steps = frames // recipe.batch_size
    last = Position(epochs - 1, epochs, steps - 1, steps, frames)
    checkpoint = torch.load(golden / name / "checkpoint.pth", map_location="cpu", weights_only=True)
    (group,) = checkpoint["optimizer"]["param_groups"]
    rate = recipe.learning_rate * parse_schedule(recipe.schedule)(last)
    assert rate == pytest.approx(group["lr"], rel=1e-9)
    assert (recipe.betas, group["eps"], group["weight_decay"]) == (tuple(group["betas"]), 1e-8, 0)
    steps_done = group["step"] if recipe.optimiser == "adan" else checkpoint["optimizer"]["state"][0]["step"]
    assert steps_done == epochs * steps, "as many steps in an epoch as ours"


@pytest.mark.parametrize("name", ["dnerv", "pnerv"])
def test_yaml_files_have_the_settings_of_the_recipe(golden: Path, name: str) -> None:
    """Their goldens were not trained; the settings file beside them is the official one."""
    folder = golden / {"dnerv": "dnerv_tiny", "pnerv": "pnerv_tiny2"}[name]
    settings: dict[str, Any] = json.loads((folder / "config.json").read_text())["config"]
    recipe = Recipe.from_json(resolve_preset(f"{name}-tiny")[1].recipe)
    wanted = settings["optim"]
    assert (recipe.epochs, recipe.batch_size) == (settings["epoch"], settings["train_batchsize"])
    assert (recipe.learning_rate, recipe.betas) == (wanted["lr"], (wanted["beta1"], wanted["beta2"]))
    assert (recipe.loss, recipe.optimiser) == (settings["loss"], wanted["optim_type"].lower())
    assert (wanted["lr_schedule"], wanted["lr_point"]) == ("warmup_cosine", 0.2)
    assert recipe.schedule == "cosine_0.2_1_0.1", "which is E-NeRV's warmup_cosine; see test_schedule.py"


def first_weights(golden: Path) -> dict[str, tuple[str, ModelConfig, Any]]:
    """Return architecture, configuration and renaming by entry of `init_seed1.json`."""
    nerv_flags = json.loads((golden / "nerv_a_90x160_readme_like" / "config.json").read_text())["train_flags"]
    ffnerv_folder = golden / "ffnerv_b_180x320_conv_fp32_sigmoid"
    ffnerv_flags = json.loads((ffnerv_folder / "config.json").read_text())["train_flags"]
    yaml = read_yaml((golden / "enerv_a_90x160" / "cfg.yaml").read_text())
    time: dict[str, Any] = {"reduction": 2.0, "kernel_min": 3, "kernel_max": 3, "time_levels": 80, "time_grid": (8, 16)}
    hnerv_time = hnerv.HNeRVConfig(width=640, height=320, frame_count=2, strides=(5, 4, 2), channels=15, **time)
    return {
        "nerv_a flags": ("nerv", nerv_config(parse_nerv(" ".join(nerv_flags)), 7), nerv),
        "enerv_a cfg": ("e-nerv", enerv_config(yaml, 7), enerv),
        "ffnerv_b flags": ("ffnerv", ffnerv_config(parse_ffnerv(" ".join(ffnerv_flags)), 7), ffnerv),
        "hnerv_nerv_a flags (fc_dim 15)": ("hnerv", hnerv_time, hnerv),
    }


def test_the_seed_of_a_recipe_gives_the_official_first_weights(golden: Path) -> None:
    figures = json.loads((golden / "misc_losses_metrics_schedules" / "init_seed1.json").read_text())
    cases = first_weights(golden)
    assert set(cases) == set(figures)
    for name, (architecture, config, code) in cases.items():
        torch.rand(3)  # what was drawn before does not matter
        state = build_for_training(architecture, config, Recipe(seed=1)).state_dict()
        params = figures[name]["params"]
        for ours, theirs in code.rename_upstream_keys({key: key for key in params}).items():
            assert list(state[ours].shape) == params[theirs]["shape"], f"{name} {theirs}"
            np.testing.assert_allclose(state[ours].flatten()[:4], params[theirs]["first"], atol=1e-7, rtol=0)
            total = state[ours].double().abs().sum().item()
            assert total == pytest.approx(params[theirs]["abssum"], rel=1e-5), f"{name} {theirs}"
