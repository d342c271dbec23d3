"""The golden tensors that lie in the repository."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def small_golden() -> Path:
    return Path(__file__).resolve().parents[2] / "golden"
