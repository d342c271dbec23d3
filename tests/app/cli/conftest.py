"""A video on the Hub for the commands that fetch one."""

from pathlib import Path

import pytest
from loopback_hub import LoopbackHub

from app.core import find_sample


@pytest.fixture
def bunny(server: LoopbackHub, hub_home: Path) -> str:
    """The bundled sample on the Hub; returns its address at its commit."""
    commit = server.add("alice/bunny", "model.safetensors", find_sample().video.read_bytes())
    server.forget()
    return f"hf://alice/bunny@{commit.sha}"
