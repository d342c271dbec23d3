"""The frame around the player's child processes: one JSON job on stdin, JSON lines on stdout. No Qt in here.

out  {"done": 3, "total": 132} or with "what" ...   {"ok": true, "message": "...", ...}
"""

import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from nervplay.errors import NervplayError

__all__ = ["run_child", "say_progress"]


def _say(words: Mapping[str, Any]) -> None:
    """Write one line to stdout."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def say_progress(done: int, total: int, what: str = "") -> None:
    """Tell the player how far the job is.

    Args:
        done: frames done.
        total: frames in all.
        what: the step, where there are several.
    """
    _say({"done": done, "total": total, **({"what": what} if what else {})})


def run_child(work: Callable[[dict[str, Any]], Mapping[str, Any]], niceness: int = 5) -> int:
    """Read the job, do it, say how it ended; return the exit code, which is that of the command line.

    Args:
        work: does a job and returns what to say: at least a "message".
        niceness: how far everything else on this computer goes first.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))  # an exception, so that half-written files are removed
    with suppress(OSError):
        os.nice(niceness)
    try:
        words = work(json.loads(sys.stdin.readline()))
    except NervplayError as error:
        _say({"ok": False, "message": str(error)})
        return error.exit_code
    finally:
        gc.freeze()  # the process ends: its last collection, of all that PyTorch is, would take half a second
    _say({"ok": True, **words})
    return 0
