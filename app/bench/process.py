"""Running a job in a child process of its own (`app.bench.child`), and ending it whatever happens."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from nervplay.errors import CapabilityError

__all__ = ["run_child"]


def run_child(
    job: dict[str, Any],
    progress: Callable[[], None] | None = None,
    calibrating: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Return the result of a job; see `app.bench.child` for both.

    Args:
        job: what to do.
        progress: called after each frame.
        calibrating: told how far the calibration of INT8 is, 0 .. 1, where one is made.

    Raises:
        CapabilityError: it cannot be done here, or the process was ended from outside; the message says why.
    """
    command = [sys.executable, "-m", "app.bench.child"]
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(  # noqa: S603 - our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True
        )
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                words = json.loads(line)
                if "result" in words:
                    result: dict[str, Any] = words["result"]
                    return result
                if "unavailable" in words:
                    raise CapabilityError(words["unavailable"])
                if "calibrating" in words:
                    if calibrating is not None:
                        calibrating(words["calibrating"])
                elif progress is not None:
                    progress()
            code = process.wait()
            complaints.seek(0)
            said = _told(complaints.read())
            why = f"signal {-code}, which the system sends where memory is short" if code < 0 else said
            raise CapabilityError(f"its process ended early: {why}; see what `nervplay decode --debug` says")
        finally:
            process.kill()
            process.communicate()


def _told(complaints: str) -> str:
    """Return the line of a traceback that names the error: what CUDA says of one goes on for lines."""
    lines = complaints.strip().splitlines() or [""]
    above = [number for number, line in enumerate(lines) if line.startswith("  ")]
    return lines[above[-1] + 1] if above and above[-1] + 1 < len(lines) else lines[-1]
