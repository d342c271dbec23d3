"""Measuring a small file: what comes out, what is said of what is not there, and nothing left behind."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.bench import Wish, run_bench
from app.bench.child import run_job
from app.bench.process import _told, run_child
from app.bench.study import _peak
from nervplay.codec import open_nerv
from nervplay.decode import open_decoder
from nervplay.errors import CapabilityError
from nervplay.metrics.psnr import psnr


def quick_peaks(job: dict[str, Any], *told: Any) -> dict[str, Any]:
    """Run a job in its child process, but peaks here and in no time; they have tests/app/bench/test_peak.py."""
    if job["kind"] != "peaks":
        return run_child(job, *told)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.bench.peak._SECONDS", 0.0)
        patch.setattr("app.bench.peak._SIDES", {"cpu": 256})
        return run_job(job)


def test_rows_and_what_is_missing(small_nerv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calibrations = tmp_path / "nervplay" / "calibration"  # nothing is known yet, but kernels are built
    kernels = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nervplay"
    calibrations.parent.mkdir()
    for folder in kernels.iterdir():
        if folder.name != calibrations.name:
            (calibrations.parent / folder.name).symlink_to(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    wish = Wish(devices=["cpu"], backends=["native", "torch"], precisions=["fp32", "int8"], threads=1, frames=4)
    monkeypatch.setattr("app.bench.study.run_child", quick_peaks)
    told: list[tuple[float, str]] = []
    with open_decoder(small_nerv, device="cpu", backend="torch", precision="bf16") as source:
        bench = run_bench(small_nerv, open_nerv(small_nerv), wish, source=source, progress=lambda *it: told.append(it))
        expected = np.mean([psnr(source.frame(i), exact) for i, exact in exact_frames(small_nerv, bench.compared)])
    assert [(row.backend, row.precision) for row in bench.rows] == [
        ("torch", "fp32"), ("native", "fp32"), ("native", "int8")
    ]  # fmt: skip
    reference, native, integers = bench.rows
    assert reference.fp32_db == (math.inf, math.inf)
    assert reference.source_db == pytest.approx(expected)
    assert native.fp32_db is not None
    assert 80 < native.fp32_db[1] <= native.fp32_db[0]
    assert native.arithmetic == "FP32"
    assert "16-bit" in integers.note
    assert integers.arithmetic == ("FP32" if " in 0 of " in integers.note else "INT16")
    for row in bench.rows:
        assert row.real_time == pytest.approx(row.fps / float(open_nerv(small_nerv).spec.rate))
        assert 0 < row.seek_ms[0] <= row.seek_ms[1]
        assert row.first_ms > 0
        assert row.memory > 50e6, "PyTorch alone takes more"
        assert row.peak_share == pytest.approx(row.fps * bench.gflops / bench.peaks["cpu"]["FP32"])
    assert bench.unavailable == ["cpu torch int8: precision int8 is not available in this version; use fp32 or bf16"]
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == len(wish.configurations()) == 4
    said = [what for _, what in told if what.startswith("cpu native int8, calibrating ")]
    assert len(said) > 10
    assert said[-1].endswith(" 100%")


def exact_frames(path: Path, indices: list[int]) -> list[tuple[int, np.ndarray]]:
    with open_decoder(path, device="cpu", backend="torch") as decoder:
        return [(index, decoder.frame(index)) for index in indices]


@pytest.mark.parametrize(
    ("arithmetic", "peak"),
    [("FP32", 60.0), ("INT16", 60.0), ("BF16", 90.0), ("FP16", 90.0), ("INT8", 60.0), ("TF32", None)],
)
def test_what_products_stand_against(arithmetic: str, peak: float | None) -> None:
    assert _peak({"FP32": 60.0, "BF16": 90.0, "INT8": 3.0}, arithmetic) == peak


def test_the_reference_comes_first() -> None:
    every = Wish(devices=["cpu"]).configurations()
    assert every[0] == ("cpu", "torch", "fp32")
    assert len(every) == len(set(every)) == 12
    assert not {name for _, *names in every for name in names} & {"cuda", "tf32", "fp16"}, (
        "a processor has none of them"
    )
    assert ("cuda:0", "cuda", "tf32") in Wish(devices=["cuda:0"]).configurations()


def test_a_process_that_dies_is_said(small_nerv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = {"kind": "decode", "file": str(small_nerv), "device": "cpu", "backend": "torch", "precision": "fp32"}
    with pytest.raises(CapabilityError, match="its process ended early: KeyError"):
        run_child(job)
    started = subprocess.Popen

    def killed(*args, **kwargs) -> subprocess.Popen[str]:
        process = started(*args, **kwargs)
        process.send_signal(signal.SIGKILL)
        process.wait()
        return process

    monkeypatch.setattr(subprocess, "Popen", killed)
    with pytest.raises((CapabilityError, BrokenPipeError), match=r"signal 9|Broken pipe"):
        run_child(job)


def test_of_what_cuda_says_the_first_line_counts() -> None:
    traceback = """Traceback (most recent call last):
  File "child.py", line 7, in main
    decoder.frame(0)
torch.AcceleratorError: CUDA error: no kernel image is available for execution on the device
Search for `cudaErrorNoKernelImageForDevice' in the manual for more information.

Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.
"""
    assert _told(traceback) == traceback.splitlines()[3]
    assert _told("no traceback\nat all\n") == "at all"
    assert _told("") == ""


def is_running(process: int) -> bool:
    """Whether there is such a process that is more than an entry nobody has asked about yet."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_an_interrupt_leaves_no_process_and_no_file(small_nerv: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app.cli", "bench", str(small_nerv), "-o", str(tmp_path / "out.tsv")]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 60
    while not (found := children.read_text().split()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert err.decode().strip().endswith("nervplay: interrupted")
    while is_running(int(found[0])):  # one that was just being started ends by itself, for want of a task
        assert time.monotonic() < deadline + 60
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []
