"""Fixtures for all tests: where the golden vectors and the sample clip are, and a cache that is never the user's."""

import os
from pathlib import Path

# Waiting threads sleep instead of spinning, as the command line has it: several times faster on a busy machine.
# Must stand before the first import of torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of the tensors and checkpoints that the official code made; beside the checkout, not in it."""
    folder = REPOSITORY.parent / "shared" / "golden"
    if not folder.is_dir():
        pytest.skip("the golden vectors of the official code (../shared/golden) are not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def clip() -> Path:
    """Big Buck Bunny as the papers use it: 132 frames, 1280x720, 25 fps, untagged H.264, 5.1 AAC sound."""
    return REPOSITORY / "samples" / "bigbuckbunny.mp4"


@pytest.fixture(autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own cache or configuration."""
    home = tmp_path_factory.getbasetemp() / "home"
    for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HF_HOME"):
        monkeypatch.setenv(variable, str(home / variable.lower()))
