"""A decoder that runs already and that plug-ins join: one process for many hosts, and any `FrameSource` as a clip."""

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

from ffmpeg_bridge.frei0r.session import OpenClip, run_session
from nervplay.errors import OutputError

__all__ = ["FrameServer"]


class FrameServer:
    """Listens at a Unix socket until it is closed; hosts name it as "unix:SOCKET!NAME".

    Args:
        path: where the socket is made; only its owner may connect.
        open_clip: opens a clip by (name, device, precision); called in a thread for each host, which closes the clip.

    Raises:
        OutputError: the socket cannot be made.
    """

    def __init__(self, path: Path, open_clip: OpenClip) -> None:
        self._path, self._open_clip = path, open_clip
        self._listener = socket.socket(socket.AF_UNIX)
        try:
            self._listener.bind(str(path))
            path.chmod(0o600)
            self._listener.listen()
        except OSError as error:
            self._listener.close()
            raise OutputError(f"no socket can be made at {path} ({error.strerror}); choose another place") from error
        self._hosts: dict[threading.Thread, socket.socket] = {}
        self._thread = threading.Thread(target=self._accept, name="frame-server")
        self._thread.start()

    def _accept(self) -> None:
        """Start a thread for every host, until the listener is shut down."""
        with suppress(OSError):
            while True:
                host, _ = self._listener.accept()
                thread = threading.Thread(target=run_session, args=(host, self._open_clip), name="frame-server-host")
                self._hosts[thread] = host
                thread.start()
                for ended in [one for one in self._hosts if not one.is_alive()]:
                    del self._hosts[ended]

    def close(self) -> None:
        """Hang up on all hosts, end all threads and remove the socket; idempotent."""
        with suppress(OSError):  # closed before
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for thread, host in self._hosts.items():
            with suppress(OSError):  # the host was faster
                host.shutdown(socket.SHUT_RDWR)
            thread.join()
        self._hosts.clear()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()
