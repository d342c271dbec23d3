"""Streams do not grow, and a frame of 3840x2160 stays in bounds; each in a process of its own, for memory is shared."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

STREAM = """
import os, sys, torch
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path
from nervplay.codec import NeuralVideo, pack
from nervplay.decode import open_decoder
from nervplay.models import build_model, resolve_preset
from nervplay.video.spec import VideoSpec

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

torch.set_num_threads(1)  # threads do not survive the copying of a process
entry, preset = resolve_preset("hnerv-tiny")
model = build_model(entry.name, preset.configure(160, 96, 6)).eval()
spec = VideoSpec(width=160, height=96, frame_count=6, rate=Fraction(24))
video = NeuralVideo(file=pack(model, spec), model=model, file_bytes=0)

def stream(backend):
    with open_decoder(video, device="cpu", backend=backend, threads=2) as decoder:
        for done, _ in enumerate(decoder.frames(islice(cycle(range(6)), 400))):
            if done == 100:
                before = resident()
        print(backend, resident() - before, flush=True)

# each in a process of its own, which costs little where PyTorch is imported before
for backend in sys.argv[1:]:
    if not (child := os.fork()):
        stream(backend)
        os._exit(0)
    os.waitpid(child, 0)
"""
BACKENDS = ("torch", "torch-fast", "native")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be copied here")
def test_a_stream_does_not_grow() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", STREAM, *BACKENDS], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=240
    )
    grown = dict(line.split() for line in ran.stdout.splitlines())
    assert grown.keys() == set(BACKENDS)
    # A frame of 160x96 has 46 kB: one that stayed per frame would be 14 MB.
    assert max(map(int, grown.values())) < 4_000_000, grown


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch-fast", "native"])
def test_a_frame_of_3840x2160_takes_less_than_2_gb(backend: str) -> None:
    command = [sys.executable, "-m", "benchmarks.memory", "--child", "4k", backend, "fp32", "1"]
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=500)
    assert 300 < float(ran.stdout.strip("[]\n").split(",")[0]) < 2000
