"""`nervplay serve`: a URL on stdout, and an end in silence."""

import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import av
import pytest


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_serves_until_told_to_stop(
    start: Callable[..., subprocess.Popen[bytes]], small_nerv: Path, number: int
) -> None:
    with start("serve", small_nerv, small_nerv, "--pix-fmt", "rgb24") as process:
        url, again = (process.stdout.readline().decode().strip() for _ in range(2))
        assert url == again
        with av.open(url) as container:
            assert [stream.type for stream in container.streams] == ["video", "audio"]
            assert sum(1 for _ in container.decode(video=0)) == 10
        process.send_signal(number)
        assert (process.stdout.read(), process.stderr.read()) == (b"", b"")
    assert process.returncode == 0
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((urlsplit(url).hostname, urlsplit(url).port))


def test_refused(nervplay, small_nerv: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = nervplay("serve", "--port", port, small_nerv)
    assert ran.code == 4
    assert f"port {port} cannot be used" in ran.error
    assert nervplay("serve", tmp_path / "none.nerv").code == 3
    assert nervplay("serve").code == 2
