"""What the tests of quality share: the official figures and the images they belong to."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor


@pytest.fixture(scope="session")
def official(golden: Path) -> dict[str, Any]:
    """Values that the official NeRV and HNeRV code gave for `images`."""
    figures: dict[str, Any] = json.loads((golden / "misc_losses_metrics_schedules" / "expected.json").read_text())
    return figures


@pytest.fixture(scope="session")
def images(golden: Path) -> tuple[Tensor, Tensor]:
    """Prediction and target, float32 (2, 3, 192, 256) in [0, 1]."""
    with np.load(golden / "misc_losses_metrics_schedules" / "images.npz") as data:
        return torch.from_numpy(data["pred"]), torch.from_numpy(data["target"])


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(7)
