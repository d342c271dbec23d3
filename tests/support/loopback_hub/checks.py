"""What tests ask of a computer after a call."""

import threading
import time
from pathlib import Path

from loopback_hub.server import LoopbackHub

__all__ = ["no_threads", "partial_files", "spoken"]


def partial_files(cache: Path) -> list[Path]:
    """What unfinished downloads left in a cache."""
    return list(cache.rglob("*.incomplete"))


def no_threads() -> None:
    """Wait until the working threads of cancelled calls have ended; they must, all by themselves."""
    end = time.monotonic() + 8  # the library sleeps a second before it goes on
    while any(thread.name == "nervplay-hub" for thread in threading.enumerate()):
        assert time.monotonic() < end, "a working thread goes on"
        time.sleep(0.01)


def spoken(text: str, server: LoopbackHub) -> list[str]:
    """The lines of stderr but the one that names the loopback endpoint."""
    shown = text.splitlines()
    assert shown[0] == f"the Hub is {server.url}, not huggingface.co"
    return shown[1:]
