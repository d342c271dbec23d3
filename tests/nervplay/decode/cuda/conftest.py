"""Triton's kernels on a GPU where there is one, by its interpreter on the CPU where there is none."""

import importlib.util
import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported, which these tests do first


@pytest.fixture
def device() -> torch.device:
    """Where kernels run."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("Triton is not installed here (pip install 'nervplay[gpu]')")
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
