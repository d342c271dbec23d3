"""The child process of a benchmark: one JSON job on stdin, JSON lines on stdout. Its memory is that of one decoder.

in   {"kind": "peaks", "device": D, "threads": N or null}
     {"kind": "decode", "file": NERV, "device": D, "backend": B, "precision": P, "threads": N or null,
      "stream": [I, ...], "seeks": [I, ...], "keep": [I, ...], "folder": DIR}
out  {"calibrating": 0.5} ...   {"done": 1} ...   {"result": {...}}   or {"unavailable": "why"}

Kept frames are written to the folder as I.npy, float32 (3, H, W), after everything was measured.
"""

import json
import resource
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from app.bench.peak import measure_peaks
from nervplay.decode import Decoder, open_decoder
from nervplay.errors import NervplayError

__all__ = ["main", "run_job"]

SECONDS = 20.0
"""Longest time for a series, once it has `LEAST` values."""
LEAST = 3


def _say(words: dict[str, Any]) -> None:
    """Write one line to stdout."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def run_job(job: dict[str, Any]) -> dict[str, Any]:
    """Return what a job asks for; see the head of this module.

    Raises:
        NervplayError: it cannot be done.
    """
    if job["kind"] == "peaks":
        return measure_peaks(job["device"], job["threads"])
    options = {name: job[name] for name in ("device", "backend", "precision", "threads")}
    began = time.perf_counter()

    def calibrating(done: int, total: int) -> None:
        _say({"calibrating": done / total})

    with open_decoder(job["file"], **options, progress=calibrating) as decoder:
        decoder.frame(0)
        result: dict[str, Any] = {"first": time.perf_counter() - began}
        result |= _measured(decoder, job["stream"], job["seeks"])
        for index in job["keep"]:
            np.save(Path(job["folder"]) / f"{index}.npy", decoder.float_frame(index))
    return result


def _measured(decoder: Decoder, stream: list[int], seeks: list[int]) -> dict[str, Any]:
    """Return seconds per frame of a stream and per seek, peak memory, and what the decoder says of itself."""
    streamed = _intervals(decoder.frames([*stream[:1], *stream]))[1:]
    sought = _intervals(map(decoder.frame, seeks))
    on_gpu = decoder.device.startswith("cuda")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "stream": streamed,
        "seeks": sought,
        "bytes": peak,
        "device_bytes": torch.cuda.max_memory_allocated(decoder.device) if on_gpu else 0,
        "backend": decoder.backend,
        "arithmetic": decoder.arithmetic,
        "note": decoder.backend_note,
    }


def _intervals(frames: Iterable[object]) -> list[float]:
    """Return the seconds from each frame to the next."""
    seconds: list[float] = []
    began = last = time.perf_counter()
    for _ in frames:
        now = time.perf_counter()
        seconds.append(now - last)
        last = now
        _say({"done": 1})
        if now - began > SECONDS and len(seconds) > LEAST:
            if isinstance(frames, Iterator) and hasattr(frames, "close"):
                frames.close()
            break
    return seconds


def main() -> int:
    """Read the job, run it, say how it ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    try:
        _say({"result": run_job(json.loads(sys.stdin.readline()))})
    except NervplayError as error:
        _say({"unavailable": str(error)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
