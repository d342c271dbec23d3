"""The plug-in, built once with the compiler that is here, and a decoder process that shows fake clips."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ffmpeg_bridge.frei0r import FrameServer, install_plugins
from nervplay.decode.testing import FakeDecoder, read_index
from nervplay.video import VideoSpec

SPEC = VideoSpec(width=128, height=72, frame_count=60, rate=Fraction(30000, 1001))


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with nerv and nervcmp."""
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("no C compiler is installed (apt-get install gcc)")
    folder = tmp_path_factory.mktemp("plugins")
    install_plugins(folder)
    return folder


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Serve a source, and return the name by which the plug-in finds it."""
    clips: dict[str, FakeDecoder] = {}
    with FrameServer(tmp_path / "s", lambda name, *_: clips[name]):

        def serve(clip: FakeDecoder) -> str:
            clips["clip"] = clip
            return f"unix:{tmp_path / 's'}!clip"

        yield serve


@pytest.fixture
def host(plugins: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run ffmpeg or another host where it finds the plug-in."""

    def run(*command: object, **options: object) -> subprocess.CompletedProcess[bytes]:
        quiet = {"QT_QPA_PLATFORM": "offscreen", "SDL_VIDEODRIVER": "dummy", "OMP_NUM_THREADS": "1"}
        environment = os.environ | {"FREI0R_PATH": str(plugins)} | quiet
        words = list(map(str, command))
        return subprocess.run(words, capture_output=True, check=False, env=environment, timeout=120, **options)

    return run


@pytest.fixture
def indices(host: Callable[..., subprocess.CompletedProcess[bytes]]) -> Callable[..., list[int]]:
    """Return the indices of the frames that ffmpeg makes of its arguments."""

    def read(*arguments: object, size: tuple[int, int] = (128, 72)) -> list[int]:
        done = host("ffmpeg", "-v", "error", *arguments, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
        assert (done.returncode, done.stderr) == (0, b"")
        return [read_index(frame) for frame in np.frombuffer(done.stdout, np.uint8).reshape(-1, size[1], size[0], 3)]

    return read
