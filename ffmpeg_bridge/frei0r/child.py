"""The process that the plug-in starts: `python -m ffmpeg_bridge.frei0r.child DESCRIPTOR`, a connected socket."""

import os
import signal
import socket
import sys
from pathlib import Path

from ffmpeg_bridge.frei0r.session import run_session
from nervplay.errors import MissingInputError
from nervplay.video.source import FrameSource

__all__ = ["main"]


def main() -> None:
    """Serve the host at the other end of the socket, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the host decides when it is over, by closing the socket
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # PyTorch's threads must not spin beside the host's
    run_session(socket.socket(fileno=int(sys.argv[1])), _open)


def _open(name: str, device: str, precision: str) -> FrameSource:
    """Open a .nerv file."""
    if not Path(name).exists():
        raise MissingInputError(f"{name} does not exist; check the path")
    from nervplay.decode import open_decoder  # noqa: PLC0415 - after the environment is set: it loads torch

    return open_decoder(name, device=device, precision=precision)


if __name__ == "__main__":
    main()
