"""Decoders against frames of the official code, wherever the repository is checked out: tests/golden/decoders."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nervplay.models import VideoModel, build_model, get_architecture

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = sorted((ROOT / "tests" / "golden" / "decoders").iterdir())
layer_figures: Callable[[VideoModel, int], dict[str, list[float]]] = runpy.run_path(
    str(ROOT / "tools" / "make_small_goldens.py")
)["layer_figures"]


def golden_model(folder: Path) -> tuple[VideoModel, dict[str, Any], dict[str, NDArray[Any]]]:
    """The network of a golden folder, what is known of its layers, and the official frames."""
    about = json.loads((folder / "config.json").read_text())
    config = get_architecture(about["architecture"]).config.from_config(about["config"])
    model = build_model(about["architecture"], config)
    state = {name: torch.from_numpy(value) for name, value in np.load(folder / "state.npz").items()}
    tables = {name: state.pop(name) for name in [*state] if name not in model.stored_state()}
    model.load_stored_state(state)
    for name, table in tables.items():
        torch.testing.assert_close(model.get_buffer(name), table, atol=1e-2, rtol=0)  # one frequency, one unit off
        model.get_buffer(name).copy_(table)
    return model.eval(), about["layers"], dict(np.load(folder / "io.npz"))


def explain(model: VideoModel, expected: dict[str, list[float]], index: int) -> str:
    """Name the first layer whose output is not what it was when the frames were right."""
    for name, (mean, deviation) in layer_figures(model, index).items():
        if name not in expected:
            return f"the layer {name} is new"
        if not np.allclose((mean, deviation), expected[name], atol=1e-5, rtol=1e-5):
            return f"the first layer that differs is {name}: mean and deviation {mean, deviation} for {expected[name]}"
    return "every layer has its figures; the picture is made of them in another way"


@torch.no_grad()
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_frames_are_the_official_ones(folder: Path) -> None:
    model, layers, io = golden_model(folder)
    error = np.abs(model(torch.from_numpy(io["index"])).numpy()[:, :, ::8, ::8] - io["out"]).max()
    assert error <= 1e-5, explain(model, layers, int(io["index"][0]))


@torch.no_grad()
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_wrong_layer_is_named(folder: Path) -> None:
    model, layers, io = golden_model(folder)
    assert explain(model, layers, int(io["index"][0])).startswith("every layer")
    name = [name for name, _ in model.named_parameters() if name.endswith(".bias")][-1]
    model.get_parameter(name).add_(0.01)
    where = f"the first layer that differs is {name.removesuffix('.bias')}:"
    assert explain(model, layers, int(io["index"][0])).startswith(where)
