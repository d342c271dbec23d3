"""The program as tests run it: in this process (fast), or as a process of its own (exit codes, pipes, signals)."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest
import torch

from app.cli.main import main

REPOSITORY = Path(__file__).resolve().parents[2]


class Ran(NamedTuple):
    """How a run ended."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of an error; fails where stderr has more than that."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("nervplay: "), self.err
        return lines[0]


Run = Callable[..., Ran]


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep PyTorch to one thread: networks this small lose by more, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def nervplay(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process: `nervplay("info", path)`."""

    def run(*arguments: object) -> Ran:
        capfd.readouterr()
        with one_thread():
            code = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start the command line as a process of its own, with pipes for stdout and stderr; it ends with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def run(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", *map(str, arguments)],
            env=environment | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
            **options,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


FRAMES, WIDTH, HEIGHT = 10, 64, 48


@pytest.fixture(scope="session")
def small_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames of 64x48 at 25 frames/s in which a bright square walks over a gradient, with a rising tone."""
    path = tmp_path_factory.mktemp("clips") / "small.mp4"
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25, options={"crf": "10"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = output.add_stream("aac", rate=44100, layout="mono")
        for number in range(FRAMES):
            picture = np.stack((4 * columns, 5 * rows, 0 * rows + 20 * number), axis=2).astype(np.uint8)
            picture[16:32, 5 * number : 5 * number + 16] = 250
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(video.encode(None))
        times = np.arange(int(44100 * FRAMES / 25)) / 44100
        tone = (0.3 * np.sin(2 * np.pi * (440 + 2000 * times) * times)).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.sample_rate = 44100
        output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    return path


@pytest.fixture(scope="session")
def small_nerv(small_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small clip as a .nerv file, fitted for two epochs by the command line itself; read it, never write to it."""
    path = tmp_path_factory.mktemp("videos") / "small.nerv"
    with one_thread():
        assert main(["encode", str(small_clip), str(path), "--preset", "hnerv-tiny", "--epochs", "2"]) == 0
    return path


@pytest.fixture
def fake_opener() -> Callable[..., Any]:
    """An opener for the player that needs no files: "N.nerv" is a fake network, all else a fake clip, N frames each.

    A number of milliseconds behind a comma slows it down: "48,20.nerv". "bad" cannot be opened.
    """
    import time
    from fractions import Fraction

    from app.core.facts import Choice, MediaFacts
    from app.core.slot import Alignment, OpenRequest
    from app.core.sources import Kind
    from app.workers.neural import DecoderMedia
    from nervplay.decode.testing import FakeDecoder
    from nervplay.errors import CapabilityError, InputError
    from nervplay.video import VideoSpec

    class SlowDecoder(FakeDecoder):
        def __init__(self, spec: VideoSpec, seconds: float) -> None:
            super().__init__(spec)
            self.seconds = seconds

        def frame(self, index: int, out: Any = None) -> Any:
            time.sleep(self.seconds)
            return super().frame(index, out)

        def set_precision(self, precision: str) -> None:
            if precision == "int8":
                raise CapabilityError("precision int8 is not in this fake; use fp32")
            super().set_precision(precision)

    def open_fake(request: OpenRequest, **_options: Any) -> DecoderMedia:
        name = Path(request.ref.text).stem
        if name == "bad":
            raise InputError("'bad' cannot be opened; take another")
        count, _, delay = ("40" if request.ref.kind is Kind.ANCHOR else name).partition(",")
        spec = VideoSpec(width=96, height=54, frame_count=int(count), rate=Fraction(25))
        decoder = SlowDecoder(spec, int(delay or 0) / 1000)
        facts = MediaFacts(title=request.ref.title, kind=request.ref.kind.value, spec=spec, file_bytes=10_000)
        if request.ref.kind is Kind.NERV:
            decoder.set_precision(request.precision or "fp32")
            facts = MediaFacts(
                **facts.__dict__
                | {
                    "architecture": "fake",
                    "parameters": 1000,
                    "continuous_time": True,
                    "precisions": (Choice(name="fp32"), Choice(name="bf16"), Choice(name="int8", reason="not here")),
                    "devices": (Choice(name="cpu"), Choice(name="cuda", reason="no CUDA device is here")),
                    "precision": decoder.precision,
                    "device": "cpu",
                    "backend": "fake",
                }
            )
        return DecoderMedia(decoder, facts, Alignment(spec))

    return open_fake
