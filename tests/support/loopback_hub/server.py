"""The HTTP side of the loopback Hub: two ports, the request log, and answers with faults in them."""

import json
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from loopback_hub.faults import Fault
from loopback_hub.state import State

__all__ = ["Answer", "LoopbackHub", "Request", "Seen"]


@dataclass
class Seen:
    """A request as it came in, and the status it got."""

    port: str  # "hub" or "cdn"
    method: str
    path: str
    query: str
    headers: dict[str, str]
    status: int | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Request:
    """A request as routes get it."""

    method: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body or b"{}")


class Answer(Exception):  # noqa: N818 - raised to end a route early, served all the same
    """An answer; routes return or raise it."""

    def __init__(self, status: int = 200, body: Any = b"", **headers: object) -> None:
        super().__init__(status)
        self.status, self.headers = status, {name.replace("_", "-"): str(value) for name, value in headers.items()}
        if isinstance(body, bytes):
            self.body = body
        else:
            self.body = json.dumps(body).encode()
            self.headers.setdefault("Content-Type", "application/json")


Route = tuple[str, str, Callable[..., Answer]]
"""Methods, pattern of the raw path, function of (hub, request, *groups)."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: clients that hang up are part of the tests."""


class LoopbackHub(State):
    """The server; see the package.

    Args:
        users: user names by token.
        page_size: most rows of a page of a listing.
    """

    def __init__(self, users: dict[str, str] | None = None, page_size: int = 100) -> None:
        from loopback_hub.routes import ROUTES

        super().__init__(users or {"hf_alice": "alice"})
        self.page_size = page_size
        self.faults: list[Fault] = []
        self.log: list[Seen] = []
        self.lock = threading.RLock()
        self.over = threading.Event()
        self._servers = {}
        for port in ("hub", "cdn"):
            handler = type("Handler", (_Handler,), {"hub": self, "port": port, "routes": ROUTES[port]})
            self._servers[port] = _Server(("127.0.0.1", 0), handler)
        self.url, self.cdn_url = (f"http://127.0.0.1:{each.server_port}" for each in self._servers.values())

    def __enter__(self) -> Self:
        for each in self._servers.values():
            threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.over.set()
        for each in self._servers.values():
            each.shutdown()
            each.server_close()

    def fail(self, match: str, **kind: Any) -> Fault:
        """Plant a fault; see `Fault`."""
        fault = Fault(match=match, **kind)
        self.faults.append(fault)
        return fault

    def seen(self, match: str = "") -> list[Seen]:
        """Return the requests whose "METHOD path" begins with what `match` finds."""
        return [seen for seen in self.log if re.match(match, str(seen))]

    def forget(self) -> None:
        """Empty the log and take all faults back."""
        self.log.clear()
        self.faults.clear()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else every answer waits 40 ms for an acknowledgement
    hub: LoopbackHub
    port: str
    routes: list[Route]

    def log_message(self, *_: object) -> None:
        """Keep stderr clean; the hub's log has all."""

    def handle_request(self) -> None:
        hub, parts = self.hub, urlsplit(self.path)
        seen = Seen(self.port, self.command, unquote(parts.path), parts.query, dict(self.headers.items()))
        body = self._body()
        hub.log.append(seen)
        fault = next((fault for fault in hub.faults if fault.hits(str(seen))), Fault(match=""))
        if fault.silence and self._gone(fault.silence):
            self.close_connection = True
            return
        if fault.status is not None:
            answer = Answer(fault.status, fault.body, **fault.headers)
        else:
            answer = self._route(parts.path, Request(self.command, parse_qs(parts.query), seen.headers, body))
            answer.headers |= fault.headers
        seen.status = answer.status
        try:
            self._send(answer, fault)
        except OSError:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_request  # noqa: N815 - the base class's names

    def _gone(self, seconds: float) -> bool:
        """Wait in silence; return whether the client hung up meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.hub.over.is_set():
            if select.select([self.connection], [], [], 0.02)[0]:
                return True
        return self.hub.over.is_set()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _route(self, raw_path: str, request: Request) -> Answer:
        # the raw path keeps %2F, so that "refs%2Fpr%2F1" is one step
        for methods, pattern, route in self.routes:
            match = re.fullmatch(pattern, raw_path)
            if match and self.command in methods.split():
                try:
                    with self.hub.lock:
                        return route(
                            self.hub, request, *(unquote(group) if group else group for group in match.groups())
                        )
                except Answer as answer:
                    return answer
        return Answer(404, {"error": f"no route for {self.command} {raw_path}"})

    def _send(self, answer: Answer, fault: Fault) -> None:
        body = answer.body
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault.corrupt and body:
            body = body[:-1] + bytes([body[-1] ^ 1])
        stop = min(len(body), *(each for each in (fault.cut_after, fault.stall_after) if each is not None), 1 << 40)
        step = fault.trickle or len(body) or 1
        for start in range(0, stop, step):
            self.wfile.write(body[start : min(start + step, stop)])
            self.wfile.flush()
            if fault.trickle:
                self.hub.over.wait(0.02)
        if fault.stall_after is not None:
            self.hub.over.wait(30)
        if fault.cut_after is not None or fault.stall_after is not None:
            self._hang_up(reset=fault.reset)

    def _hang_up(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            self.hub.over.wait(0.1)  # the client reads what was sent first
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()
