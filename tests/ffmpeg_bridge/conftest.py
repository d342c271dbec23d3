"""Clips whose frames carry their own number in the pixels, made by the real ffmpeg."""

import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from nervplay.video import ArraySource, Frame

WIDTH, HEIGHT, CELL, BITS = 128, 64, 16, 8


def numbered_frame(index: int, width: int = WIDTH, height: int = HEIGHT) -> Frame:
    """Return a picture with `index` as a bar code of 8 cells in its first 16 rows and moving colours below."""
    y, x = np.mgrid[:height, :width]
    frame = np.stack((2 * x + 5 * index, 3 * y + index, 128 + 0 * x), axis=-1).astype(np.uint8) // 2 + 40
    bits = (index >> np.arange(BITS)) & 1
    frame[:CELL, : BITS * CELL] = (np.repeat(bits, CELL) * 255).astype(np.uint8)[None, :, None]
    return frame


@pytest.fixture(scope="session")
def read_number() -> Callable[[Frame], int]:
    """Return the number that a picture carries."""

    def read(frame: Frame) -> int:
        cells = frame[CELL // 2, CELL // 2 : BITS * CELL : CELL].astype(int).sum(-1)
        return sum(1 << bit for bit, level in enumerate(cells) if level > 3 * 128)

    return read


@pytest.fixture(scope="session")
def numbered() -> Callable[..., ArraySource]:
    """Return a source of numbered frames in memory."""

    def make(count: int = 20, rate: Fraction = Fraction(25), width: int = WIDTH, height: int = HEIGHT) -> ArraySource:
        return ArraySource(np.stack([numbered_frame(i, width, height) for i in range(count)]), rate)

    return make


@pytest.fixture(scope="session")
def ffmpeg() -> Path:
    """The real ffmpeg."""
    found = shutil.which("ffmpeg")
    if found is None:
        pytest.skip("the ffmpeg program is not installed (apt-get install ffmpeg)")
    return Path(found)


@pytest.fixture(scope="session")
def ffprobe(ffmpeg: Path) -> Callable[..., list[str]]:
    """Return the lines that ffprobe prints for entries of a file."""

    def probe(path: Path, entries: str, stream: str = "v:0") -> list[str]:
        command = ["ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", entries]
        command += ["-of", "default=nokey=0:noprint_wrappers=1", str(path)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()

    return probe


@pytest.fixture(scope="session")
def run_ffmpeg(ffmpeg: Path) -> Callable[..., None]:
    """Run ffmpeg quietly with these arguments."""

    def run(*arguments: object, data: bytes | None = None) -> None:
        command = [str(ffmpeg), "-v", "error", "-y", *map(str, arguments)]
        subprocess.run(command, check=True, input=data, stdin=None if data is not None else subprocess.DEVNULL)

    return run


@pytest.fixture(scope="session")
def encoded(run_ffmpeg: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a file of numbered frames, made once for the same arguments."""
    made: dict[tuple[object, ...], Path] = {}

    def make(suffix: str, *options: object, count: int = 40, rate: str = "25", frames: Frame | None = None) -> Path:
        key = (suffix, *options, count, rate, None if frames is None else frames.tobytes())
        if key not in made:
            pictures = np.stack([numbered_frame(i) for i in range(count)]) if frames is None else frames
            size = f"{pictures.shape[2]}x{pictures.shape[1]}"
            path = tmp_path_factory.mktemp("encoded") / f"clip{suffix}"
            source = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", rate, "-i", "-")
            run_ffmpeg(*source, *options, path, data=pictures.tobytes())
            made[key] = path
        return made[key]

    return make
