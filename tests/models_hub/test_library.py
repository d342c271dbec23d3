"""The optional library: missing or too old, it is named with its cure."""

import sys

import huggingface_hub
import pytest

from models_hub import Hub
from models_hub.library import require_library
from nervplay.errors import CapabilityError


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CapabilityError, match=r"needs the package huggingface_hub .*pip install nervplay\[hub\]"):
        Hub()


def test_a_library_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "__version__", "1.9.3")
    with pytest.raises(CapabilityError, match=r"huggingface_hub 1\.9\.3 is too old"):
        require_library()
