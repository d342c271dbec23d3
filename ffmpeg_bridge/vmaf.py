"""VMAF of every frame, by any ffmpeg program that has libvmaf.

The two clips travel as one: each picture is the decoded frame with its original below it, cut apart again inside
ffmpeg. Frame i therefore always meets frame i, whatever containers and time stamps would have made of it. The model is
libvmaf's own default (vmaf_v0.6.1, made for 1080p on a television set); it looks at luma alone.
"""

import importlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np

from ffmpeg_bridge.filter_meter import common_format
from ffmpeg_bridge.frames import FrameConverter
from nervplay.errors import CapabilityError
from nervplay.video.source import Frame
from nervplay.video.spec import Colour, VideoSpec

__all__ = ["VmafMeter", "find_vmaf"]

_LOG = "vmaf.json"
_TEST = ("-f", "lavfi", "-i", "color=s=64x64:d=0.1,format=yuv420p,split[a][b];[a][b]libvmaf", "-f", "null", "-")
_TEST_SECONDS = 30


@lru_cache(maxsize=1)
def find_vmaf() -> Path:
    """Return an ffmpeg program that computes VMAF, found by trying: the one on PATH, else that of imageio-ffmpeg.

    Raises:
        CapabilityError: none does.
    """
    tried = []
    for program in _candidates():
        command = [str(program), "-v", "error", "-nostdin", *_TEST]
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=_TEST_SECONDS)  # noqa: S603 - a program that the user installed
        except (OSError, subprocess.TimeoutExpired):
            done = None
        if done is not None and done.returncode == 0:
            return program
        tried.append(str(program))
    found = f"{' and '.join(tried)} cannot compute VMAF" if tried else "no ffmpeg program is installed"
    raise CapabilityError(f"{found}; install one with libvmaf: pip install 'nervplay[vmaf]'")


def _candidates() -> Iterator[Path]:
    """Yield the ffmpeg programs of this machine, the user's own first."""
    if (found := shutil.which("ffmpeg")) is not None:
        yield Path(found)
    try:
        yield Path(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
    except (ImportError, RuntimeError):  # not installed, or a wheel without a program
        return


class VmafMeter:
    """A `nervplay.metrics.Meter` for VMAF, 0 to 100; runs an ffmpeg process until closed. A context manager.

    Args:
        spec: size of the frames.
        program: an ffmpeg with libvmaf; None to look for one.

    Raises:
        CapabilityError: no such program; from `add` and `values`: it failed.
    """

    def __init__(self, spec: VideoSpec, program: Path | None = None) -> None:
        program = program or find_vmaf()
        pix_fmt, width, height = common_format(spec), spec.width, spec.height
        self._converter = FrameConverter(Colour(), pix_fmt)
        self._pairs, self._height = 0, height
        self._folder = tempfile.TemporaryDirectory()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        threads = os.cpu_count() or 1
        graph = (
            f"[0:v]split[x][y];[x]crop={width}:{height}:0:0[shown];[y]crop={width}:{height}:0:{height}[original];"
            f"[shown][original]libvmaf=log_fmt=json:log_path={_LOG}:n_threads={threads}"
        )
        carrier = ("-f", "rawvideo", "-pixel_format", pix_fmt, "-video_size", f"{width}x{2 * height}", "-i", "-")
        self._process = subprocess.Popen(  # noqa: S603 - a program that the user installed
            [str(program.resolve()), "-v", "error", *carrier, "-lavfi", graph, "-f", "null", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            cwd=self._folder.name,  # so that the log's path holds nothing that a filter graph would take for its own
        )

    def add(self, frame: Frame, reference: Frame) -> None:
        """Take the next pair, uint8 (H, W, 3) RGB each."""
        both = self._converter.convert(np.concatenate((frame, reference)))
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(both.to_ndarray().tobytes())
        except OSError:
            raise self._failure() from None
        self._pairs += 1

    def values(self) -> list[float]:
        """Return the VMAF of every pair, 0 to 100."""
        try:
            self._process.communicate()
        except OSError:
            raise self._failure() from None
        if self._process.returncode:
            raise self._failure()
        frames = json.loads(Path(self._folder.name, _LOG).read_text())["frames"]
        if len(frames) != self._pairs:
            raise CapabilityError(f"ffmpeg measured {len(frames)} of {self._pairs} frames; try another ffmpeg program")
        return [float(frame["metrics"]["vmaf"]) for frame in frames]

    def _failure(self) -> CapabilityError:
        """Return what ffmpeg said when it ended early."""
        self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        reason = said[-1] if said else f"exit code {self._process.returncode}"
        return CapabilityError(f"ffmpeg could not measure VMAF ({reason}); leave vmaf out, or install another ffmpeg")

    def close(self) -> None:
        """End the process and remove its files; idempotent."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(OSError):  # what was buffered for a process that is gone
                self._process.stdin.close()
        self._errors.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()
