"""Which ways into which programs work on this machine: each is tried, with a clip whose frames carry their index.

A list of features proves nothing: fully static builds list frei0r and crash when a plug-in is loaded.
"""

import importlib.util
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ffmpeg_bridge.frei0r import FrameServer, plugin_folder, source_graph
from ffmpeg_bridge.http_server import VideoServer
from ffmpeg_bridge.pipe import write_pipe
from ffmpeg_bridge.programs import loopback_environment
from nervplay.decode.testing import FakeDecoder, read_index
from nervplay.errors import CapabilityError, OutputError
from nervplay.video.source import Frame

__all__ = ["RouteReport", "examine", "known_programs", "program_kind"]

_SECONDS = 60.0
_START, _FIRST = "1.25", 30
_ALL = list(range(48))


@dataclass(frozen=True, kw_only=True)
class RouteReport:
    """How one way into one program was found.

    Args:
        program: path of the program.
        version: what it says of itself, in a word or two.
        route: "pipe", "url", "seek", "movie=" or "frei0r".
        works: whether the right frames came out.
        detail: why not; empty when it works.
    """

    program: str
    version: str
    route: str
    works: bool
    detail: str


class _Trial(NamedTuple):
    """What a route is tried with."""

    program: str
    url: str
    folder: Path
    clip: FakeDecoder


def known_programs(*named: str) -> list[str]:
    """Return the ffmpeg, mpv and melt found here, and the ffmpeg of the package imageio-ffmpeg.

    Args:
        named: more of them, by name or path; those that are not there are left out.
    """
    found = [shutil.which(name) for name in (*named, "ffmpeg", "mpv", "melt")]
    if importlib.util.find_spec("imageio_ffmpeg"):
        with suppress(RuntimeError):  # the package without a program
            found.append(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
    return list(dict.fromkeys(filter(None, found)))


def program_kind(program: str) -> str:
    """Return "mpv", "melt" or "ffmpeg" by the name of a program."""
    name = Path(program).name
    return next((kind for kind in ("mpv", "melt") if name.startswith(kind)), "ffmpeg")


def examine(program: str) -> Iterator[RouteReport]:
    """Try every route into a program, and yield what was found.

    Args:
        program: path of an ffmpeg, mpv or melt.
    """
    version = _version(program)
    with VideoServer() as server, tempfile.TemporaryDirectory() as folder:
        clip = FakeDecoder()
        trial = _Trial(program, server.add(clip, "doctor"), Path(folder), clip)
        for route, (expected, attempt) in _ROUTES[program_kind(program)].items():
            try:
                indices = [read_index(frame) for frame in attempt(trial)]
                detail = "" if indices == expected else f"wrong frames: {indices[:5]} for {expected[:5]}"
            except subprocess.TimeoutExpired:
                detail = f"no answer within {_SECONDS:.0f} seconds"
            except subprocess.CalledProcessError as error:
                detail = _reason(error)
            except CapabilityError as error:
                detail = str(error)
            yield RouteReport(program=program, version=version, route=route, works=not detail, detail=detail)


def _run(*command: str, feed: int | None = None) -> bytes:
    """Run a program and return what it wrote to stdout."""
    stdin = subprocess.DEVNULL if feed is None else feed
    environment = loopback_environment() | {"QT_QPA_PLATFORM": "offscreen", "SDL_VIDEODRIVER": "dummy"}
    done = subprocess.run(  # noqa: S603 - programs that the user has installed
        command, stdin=stdin, capture_output=True, timeout=_SECONDS, check=True, env=environment
    )
    return done.stdout


def _reason(error: subprocess.CalledProcessError) -> str:
    """Return why a program failed, in one line."""
    if error.returncode < 0:
        return f"ended by signal {-error.returncode}"
    lines = error.stderr.decode(errors="replace").strip().splitlines()
    return lines[0][:200] if lines else f"exit code {error.returncode}"


def _version(program: str) -> str:
    """Return the third word of an ffmpeg's first line, the second of an mpv's."""
    with suppress(subprocess.SubprocessError, OSError):
        option = "-version" if program_kind(program) == "ffmpeg" else "--version"
        words = _run(program, option).decode(errors="replace").split("\n", 1)[0].split()
        return next((word for word in words[1:] if word[:1].isdigit() or word[:1] in "nN"), "")
    return ""


def _frames(data: bytes) -> list[Frame]:
    """Return the whole frames in raw RGB."""
    spec = FakeDecoder().spec
    size = spec.width * spec.height * 3
    return list(np.frombuffer(data[: len(data) // size * size], np.uint8).reshape(-1, spec.height, spec.width, 3))


def _ffmpeg(trial: _Trial, *source: str, feed: int | None = None, count: int = 48) -> list[Frame]:
    out = ("-frames:v", str(count), "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    return _frames(_run(trial.program, "-v", "error", *source, *out, feed=feed))


def _ffmpeg_pipe(trial: _Trial) -> list[Frame]:
    ours, theirs = os.pipe()

    def write() -> None:
        with suppress(OutputError), os.fdopen(theirs, "wb", buffering=0) as file:
            write_pipe(file, trial.clip, "mkv")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        return _ffmpeg(trial, "-i", "-", feed=ours)
    finally:
        os.close(ours)
        writer.join()


def _ffmpeg_movie(trial: _Trial) -> list[Frame]:
    return _ffmpeg(trial, "-f", "lavfi", "-i", "movie=" + trial.url.replace(":", r"\\:"))


def _ffmpeg_frei0r(trial: _Trial) -> list[Frame]:
    named = os.environ.get("FREI0R_PATH", "").split(os.pathsep)
    folders = [*(Path(folder) for folder in named if folder), plugin_folder()]
    if not any((folder / f"nerv{suffix}").exists() for folder in folders for suffix in (".so", ".dylib")):
        raise CapabilityError("the plug-in is not installed; run: nervplay frei0r install")
    with FrameServer(trial.folder / "socket", lambda *_: FakeDecoder()):
        graph = source_graph(trial.clip.spec, f"unix:{trial.folder / 'socket'}!clip")
        return _ffmpeg(trial, "-f", "lavfi", "-i", graph)


def _mpv(trial: _Trial) -> list[Frame]:
    pictures = trial.folder / "mpv"
    output = ("--vo=image", "--vo-image-format=png", f"--vo-image-outdir={pictures}", "--no-audio", "--untimed")
    quiet = ("--no-config", "--no-ytdl", "--really-quiet", "--no-input-terminal")
    _run(trial.program, *quiet, *output, f"--start={_START}", "--frames=2", trial.url)
    return [np.asarray(Image.open(path).convert("RGB")) for path in sorted(pictures.glob("*.png"))]


def _melt(trial: _Trial) -> list[Frame]:
    target = trial.folder / "melt.rgb"
    consumer = (f"avformat:{target}", "f=rawvideo", "vcodec=rawvideo", "pix_fmt=rgb24", "an=1", "real_time=-1")
    part = (f"in={_FIRST}", f"out={_FIRST + 1}")
    _run(trial.program, "-silent", trial.url, *part, "-consumer", *consumer)
    return _frames(target.read_bytes()) if target.exists() else []


_ROUTES: dict[str, dict[str, tuple[list[int], Callable[[_Trial], list[Frame]]]]] = {
    "ffmpeg": {
        "pipe": (_ALL, _ffmpeg_pipe),
        "url": (_ALL, lambda trial: _ffmpeg(trial, "-i", trial.url)),
        "seek": ([_FIRST], lambda trial: _ffmpeg(trial, "-ss", _START, "-i", trial.url, count=1)),
        "movie=": (_ALL, _ffmpeg_movie),
        "frei0r": (_ALL, _ffmpeg_frei0r),
    },
    "mpv": {"seek": ([_FIRST, _FIRST + 1], _mpv)},
    "melt": {"seek": ([_FIRST, _FIRST + 1], _melt)},
}
