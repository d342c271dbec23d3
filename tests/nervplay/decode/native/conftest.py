"""The instruction sets that this processor has."""

import pytest

from nervplay.decode.native.library import Isa, kernels, load
from nervplay.errors import CapabilityError

NAMES = ("avx512", "avxvnni", "avx2", "generic")


@pytest.fixture(params=NAMES)
def isa(request: pytest.FixtureRequest) -> Isa:
    load()
    try:
        return kernels(request.param)
    except CapabilityError as error:
        pytest.skip(str(error))
