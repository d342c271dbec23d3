"""These tests need the package openvino; where it cannot be installed they say so."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _openvino(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("openvino") is None:
        pytest.skip("openvino is not installed: pip install nervplay[cpu]")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
