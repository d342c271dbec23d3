"""The HTTP client under huggingface_hub: ours inside our calls, the library's own everywhere else.

Why (measured with 2.4.0): alone, the library sleeps up to 280 s on a 429 and 23 s without a network, says so only in
its log, has no time limit on API calls, and cannot be stopped while it waits. Inside a `Call` every request has a time
limit, 429 and 5xx are raised at once, and a cancel event shuts the sockets, so that a blocked read ends.
"""

import functools
import logging
import re
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import httpx2
import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.utils._http import hf_request_event_hook, parse_ratelimit_headers

from nervplay.errors import Interrupted, RemoteError

__all__ = ["CHUNK_BYTES", "Call", "Refused", "Unreachable", "current_call", "install"]

_LOG = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
STORE_SECONDS = 120.0
"""How long the Hub may take to answer what changes something: it looks through a whole video before it does."""

MAX_BREAKS = 5
"""Broken connections that one call outlives."""

CHUNK_BYTES = 128 << 10
"""Step of a download. The library's 10 MiB gives one progress report for a whole video, and no resume below that."""

_QUIET = {"huggingface_hub": logging.ERROR, "httpx2": logging.WARNING, "httpcore2": logging.WARNING}
"""Loggers that quote signed addresses, which let anybody read a private file; what -v shows is logged here."""

_XET = "X-Xet-Hash"
"""The header that steers the library to xet; without it the file is asked for at its plain address at once."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r'(?:W/)?"?[0-9a-f]{40}(?:[0-9a-f]{24})?"?')

current_call: ContextVar["Call | None"] = ContextVar("nervplay_hub_call", default=None)
"""The call that runs in this context; None outside our calls."""


class Refused(Exception):  # noqa: N818 - internal: `explain` turns it into a RemoteError
    """The Hub answered 429 or 5xx.

    Args:
        status: of the answer.
        seconds: how long the Hub asks us to wait; None where it does not say.
    """

    def __init__(self, status: int, seconds: int | None) -> None:
        super().__init__(f"status {status}")
        self.status, self.seconds = status, seconds


class Unreachable(Exception):  # noqa: N818 - internal: `explain` turns it into a RemoteError
    """No answer: no network, no such host, silence, a broken connection."""


class Call:
    """One call of ours to the Hub: its connections, its way to be stopped, its voice.

    Args:
        cancel: stops the call when set; None where nothing can stop it.
        notice: told in one sentence when the call must wait or begins again.
    """

    def __init__(self, cancel: threading.Event | None, notice: Callable[[str], None]) -> None:
        self._cancel = cancel
        self._sockets: list[socket.socket] = []
        self._downloads: int | None = None  # GET requests since the download began; None before it does
        self._breaks = 0
        self._lock = threading.Lock()
        self._client = httpx2.Client(
            event_hooks={"request": [hf_request_event_hook]},
            follow_redirects=True,
            max_redirects=5,
            timeout=None,
            verify=_certificates(),
        )
        self.notice = notice

    def check(self) -> None:
        """Raise `Interrupted` when the call was cancelled."""
        if self._cancel is not None and self._cancel.is_set():
            raise Interrupted("stopped; what had been downloaded or published before is unchanged")

    def download_begins(self) -> None:
        """Take the next GET request for a download, and further ones for its continuations."""
        self._downloads = 0

    def wait(self, seconds: float) -> None:
        """Wait, or raise `Interrupted` as soon as the call is cancelled."""
        (self._cancel or threading.Event()).wait(seconds)
        self.check()

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request on a connection of this call.

        Raises:
            Interrupted: cancelled.
            Unreachable: no answer.
            Refused: 429 or 5xx.
            RemoteError: an answer that could write outside the cache.
        """
        self.check()
        self._count_breaks(request)
        wanted = request.extensions.get("timeout") or {}
        read = READ_SECONDS if request.method in ("GET", "HEAD") else STORE_SECONDS
        limits = {"connect": CONNECT_SECONDS, "read": read, "write": READ_SECONDS, "pool": CONNECT_SECONDS}
        limits |= {kind: min(limits[kind], value) for kind, value in wanted.items() if value}
        request.extensions = {**request.extensions, "timeout": limits, "trace": self._watch}
        try:
            response = self._client.send(request, **options)
        except httpx2.TransportError as error:
            self.check()
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        _LOG.debug("%s %s: %s", request.method, request.url.copy_with(query=None), response.status_code)
        if response.status_code == 429 or response.status_code >= 500:
            response.close()
            raise Refused(response.status_code, _seconds(response))
        _check_names(response)
        response.headers.pop(_XET, None)
        return response

    def shut(self) -> None:
        """Shut the connections, from any thread: whoever reads or writes on them gets an error at once."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            with suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)  # not SSLSocket's, which would touch the TLS state

    def close(self) -> None:
        """Close what the call opened."""
        self._client.close()

    def _watch(self, event: str, info: dict[str, Any]) -> None:
        """Remember the sockets that the client opens (httpcore's `trace` extension)."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            opened = info["return_value"].get_extra_info("socket")
            with self._lock:
                self._sockets.append(opened)
            try:
                self.check()
            except Interrupted:
                info["return_value"].close()  # the client has not heard of it yet, and would leave it open
                raise

    def _count_breaks(self, request: httpx2.Request) -> None:
        """Say that a download goes on behind a break, and end one that breaks again and again.

        The library asks for the rest by itself, in silence and after a second's sleep.
        """
        if self._downloads is None or request.method != "GET":
            return
        self._downloads += 1
        if self._downloads == 1:
            return
        self._breaks += 1
        if self._breaks > MAX_BREAKS:
            raise Unreachable(f"the connection broke {self._breaks} times")
        begin = re.match(r"bytes=(\d+)-", request.headers.get("Range", ""))
        self.notice(f"the connection broke; going on from byte {begin[1] if begin else 0}")


class _Client(httpx2.Client):
    """The library's client that hands requests of our calls to them."""

    def build_request(self, *args: Any, **options: Any) -> httpx2.Request:
        """Build a request; raw bytes that the library calls `data` go as `content`, which httpx2 warns of otherwise."""
        if options.get("data") is not None and not isinstance(options["data"], Mapping):
            options["content"] = options.pop("data")
        return super().build_request(*args, **options)

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request, by the call of this context if there is one."""
        call = current_call.get()
        return super().send(request, **options) if call is None else call.send(request, **options)


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Return the system's certificates; reading them takes 40 ms, which every call would wait for."""
    return httpx2.create_ssl_context()


def _make_client() -> httpx2.Client:
    """Return what the library's own factory returns, but ours."""
    hooks = {"request": [hf_request_event_hook]}
    return _Client(event_hooks=hooks, follow_redirects=True, timeout=None, verify=_certificates())


def install() -> None:
    """Put our client under huggingface_hub and switch xet off, for this process.

    Outside our calls the client behaves as the library's own. Xet is off because its downloads cannot be stopped
    (huggingface_hub issue 4632); the Hub serves the same files by plain HTTP. Done once: another client would end what
    other tools of this process transfer.
    """
    if not isinstance(huggingface_hub.get_session(), _Client):
        huggingface_hub.set_client_factory(_make_client)
    constants.HF_HUB_DISABLE_XET = True
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)


def _seconds(response: httpx2.Response) -> int | None:
    """Return how long the Hub asks us to wait, in seconds."""
    limits = parse_ratelimit_headers(response.headers)
    if limits is not None and not limits.remaining:
        return int(limits.reset_in_seconds)
    after = response.headers.get("Retry-After", "")
    return int(after) if after.isdecimal() and len(after) < 7 else None


def _check_names(response: httpx2.Response) -> None:
    """Refuse what is no digest in headers after which the library, unchecked, names files and folders of the cache.

    Raises:
        RemoteError: an ETag or a commit that could lead out of the cache.
    """
    names = [(_COMMIT, each.headers.get("X-Repo-Commit")) for each in (*response.history, response)]
    if response.request.method == "HEAD" and response.status_code < 400:
        names.append((_DIGEST, response.headers.get("X-Linked-ETag") or response.headers.get("ETag")))
    for pattern, name in names:
        if name is not None and not pattern.fullmatch(name):
            response.close()
            raise RemoteError(
                f"{response.url.host} names a file by '{name[:40]}', which is no digest, so nothing was written; this"
                " is not the Hub: check HF_ENDPOINT"
            )
