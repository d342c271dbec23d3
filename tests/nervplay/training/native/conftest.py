"""The compiled kernels of fits."""

import pytest
import torch
from torch import Tensor

from nervplay.decode.native.build import find_compiler
from nervplay.training.native import library

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 5e-3}
"""Of the length of a result; bfloat16 rounds by 2^-9 at most."""


@pytest.fixture(scope="session")
def kernels() -> library.Kernels:
    if find_compiler() is None:
        pytest.skip("no C compiler is here")
    found = library.kernels()
    assert found is not None, "there is a compiler, so there must be kernels"
    return found


@pytest.fixture
def assert_close():  # type: ignore[no-untyped-def]  # a fixture that returns a function
    def check(ours: Tensor | None, exact: Tensor | None) -> None:
        assert ours is not None
        assert exact is not None
        assert ours.shape == exact.shape
        assert (ours.double() - exact).norm() <= TOLERANCE[ours.dtype] * exact.norm()

    return check
