"""Tests that need a window system run here in a process of their own, under Xvfb."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed (tools/setup.sh dev installs it)")
@pytest.mark.skipif(os.environ.get("QT_QPA_PLATFORM") == "xcb", reason="this is the run with a window system")
def test_with_a_window_system(tmp_path: Path) -> None:
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=(write,), stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as answer:
            display = answer.readline().strip()
        assert display, "Xvfb did not start"
        environment = os.environ | {
            "DISPLAY": f":{display}",
            "QT_QPA_PLATFORM": "xcb",
            "XDG_RUNTIME_DIR": str(tmp_path),
        }
        tests = [sys.executable, "-m", "pytest", "-q", "-m", "display", "-p", "no:cacheprovider", "tests/app/views"]
        ran = subprocess.run(tests, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    finally:
        server.terminate()
        server.wait()
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-3000:]
    assert "passed" in ran.stdout
