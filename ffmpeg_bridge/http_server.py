"""Neural video as files that every FFmpeg, mpv and PyAV opens by URL: seekable, uncompressed, made on demand.

Loopback only. A random token in the path keeps other users of the machine out; pages in a browser cannot guess it. A
reader asks for any range of bytes (RFC 9110, 14); several may read at once and share decoder and cache.
"""

import hmac
import http.server
import re
import secrets
import socket
import socketserver
import threading
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NamedTuple, Self, cast
from urllib.parse import quote

from ffmpeg_bridge.frame_cache import DEFAULT_CACHE_BYTES, FrameCache
from ffmpeg_bridge.matroska import VirtualMatroska
from ffmpeg_bridge.raw import default_raw_format
from ffmpeg_bridge.sink import Piece
from nervplay.bitstream.layout import Audio
from nervplay.errors import OutputError
from nervplay.video.source import FrameSource

__all__ = ["VideoServer"]

_LOOPBACK = "127.0.0.1"
_SEND_BYTES = 1 << 20
_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


class _Clip(NamedTuple):
    """What stands behind a path."""

    layout: VirtualMatroska
    cache: FrameCache


class VideoServer:
    """Serves clips over HTTP on this machine until it is closed.

    Args:
        cache_bytes: bytes of decoded pictures to keep, for each clip.
        port: where to listen; 0 for any free port.

    Raises:
        OutputError: the port is taken.
    """

    def __init__(self, *, cache_bytes: int = DEFAULT_CACHE_BYTES, port: int = 0) -> None:
        self._cache_bytes = cache_bytes
        try:
            self._listener = _Listener((_LOOPBACK, port), _Handler)
        except OSError as error:
            raise OutputError(f"port {port} cannot be used ({error.strerror}); take another, or 0 for any") from error
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,), name="video-server")
        self._thread.start()

    def add(self, source: FrameSource, name: str, *, pix_fmt: str | None = None, audio: Audio | None = None) -> str:
        """Serve a clip from now on; return its URL.

        Args:
            source: the clip; used by the server alone until that is closed, and not closed by it.
            name: how players title it; need not be unique.
            pix_fmt: one of `nervplay.choices.RAW_FORMATS`; None for yuv420p, or yuv444p for frames of odd size.
            audio: sound for the second track.

        Raises:
            UnknownNameError: another pixel format.
            GeometryError: odd sides where the format halves them.
            BitstreamError: no sound that can be read.
            UsageError: sound that Matroska cannot hold.
        """
        pix_fmt = pix_fmt or default_raw_format(source.spec)
        cache = FrameCache(source, pix_fmt, self._cache_bytes)
        layout = VirtualMatroska(source.spec, pix_fmt, cache.frame_bytes, audio)
        path = f"/{secrets.token_urlsafe(24)}/{quote(name, safe='', errors='surrogateescape')}.mkv"
        self._listener.clips[path] = _Clip(layout, cache)
        return f"http://{_LOOPBACK}:{self._listener.server_address[1]}{path}"

    @property
    def failure(self) -> Exception | None:
        """The first error of a decoder; its reader got a file that is cut off."""
        return self._listener.failure

    def close(self) -> None:
        """Hang up on all readers and end all threads; idempotent."""
        self._listener.shutdown()
        self._listener.hang_up()
        self._listener.server_close()  # waits for the readers' threads
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


class _Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """One thread for each connection; knows them all, so that they can be ended."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 32

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.clips: dict[str, _Clip] = {}
        self.failure: Exception | None = None
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()

    def server_bind(self) -> None:
        """Bind without looking up the name of the machine, which may ask the network."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def find(self, path: str) -> _Clip | None:
        """Return the clip at a path; takes as long for a near miss as for a far one."""
        asked = path.encode("utf-8", "surrogateescape")
        return next((clip for own, clip in self.clips.items() if hmac.compare_digest(own.encode(), asked)), None)

    def note(self, error: Exception) -> None:
        """Remember the first failure."""
        self.failure = self.failure or error

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection."""
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection that has ended."""
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Make every thread that waits for its reader wake up and end."""
        with self._guard:
            for connection in self._open:
                with suppress(OSError):  # the reader was faster
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: a reader that leaves is no error, and decoders' errors are noted where they happen."""


class _Handler(http.server.BaseHTTPRequestHandler):
    """GET and HEAD of byte ranges."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer of a few bytes must not wait for the next
    server_version, sys_version = "nervplay", ""

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name in the base class
        """Log nothing."""

    def do_HEAD(self) -> None:
        """Answer with the headers alone."""
        self._answer(body=False)

    def do_GET(self) -> None:
        """Answer with the bytes asked for."""
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        listener = cast(_Listener, self.server)
        clip = listener.find(self.path)
        if clip is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        size = clip.layout.size
        span = _span(self.headers.get("Range"), size)
        if span is None:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start, end = span
        partial = self.headers.get("Range") is not None
        self.send_response(HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK)
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.send_header("Content-Length", str(end - start))
        self.send_header("Content-Type", "video/x-matroska")
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if body:
            self._send(listener, clip, start, end)

    def _send(self, listener: _Listener, clip: _Clip, start: int, end: int) -> None:
        """Send bytes start .. end - 1; a decoder that fails ends the connection short."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
        self.close_connection = True  # until all is sent
        with clip.cache.reader() as picture:
            pieces = clip.layout.pieces(start, end, picture)
            while True:
                try:
                    head = next(pieces, None)
                    body = next(pieces, None)  # what stands before a picture goes with it
                except Exception as error:  # noqa: BLE001 - whatever a decoder raises is for the owner of the server
                    listener.note(error)
                    return
                if head is None:
                    break
                try:
                    self._send_both(head, body or b"")
                except OSError:  # the reader has gone to another place, or away
                    return
        self.close_connection = False

    def _send_both(self, first: Piece, second: Piece) -> None:
        """Send two pieces, with one call where the system takes them at once."""
        sent = self.connection.sendmsg([first, second])
        for piece in (first, second):
            if sent < len(piece):
                self.connection.sendall(memoryview(piece)[sent:])
            sent = max(0, sent - len(piece))


def _span(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte and the one behind the last of a Range header; None for one outside the file.

    A header that is no single range of bytes is ignored, as the RFC allows, and the whole file answered.
    """
    found = _RANGE.match(header or "")
    if found is None or found.group(1) == found.group(2) == "":
        return 0, size
    first, last = found.groups()
    if not first:  # the last so many bytes
        return (max(0, size - int(last)), size) if int(last) else None
    start, end = int(first), min(int(last) + 1, size) if last else size
    return (start, end) if start < end else None
