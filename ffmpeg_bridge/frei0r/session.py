"""One host and its clip: what the decoder's end of the protocol does; docs/spec/frame-server.md is the protocol."""

import os
import select
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from socket import socket
from typing import Self

from ffmpeg_bridge.frei0r.ring import FrameRing
from ffmpeg_bridge.frei0r.wire import Kind, Message, ProtocolError, receive, send
from nervplay.errors import NervplayError, UnknownNameError, UsageError
from nervplay.video.source import Frame, FrameSource

__all__ = ["OpenClip", "run_session"]

OpenClip = Callable[[str, str, str], FrameSource]
"""Opens a clip: (name, device, precision)."""

_HOSTS_OWN = {"strict", "time"}
_MILLISECOND_HALF = 500
_AHEAD = 2  # the ring keeps three frames: these, and the one that the host is reading


def run_session(connection: socket, open_clip: OpenClip) -> None:
    """Answer one host until it closes the connection; whatever goes wrong is told to it.

    Args:
        connection: a stream socket of the Unix family; closed at the end.
        open_clip: how clips are opened; they are closed at the end.
    """
    with connection, suppress(OSError, ProtocolError):  # the host is gone, or was none
        hello = receive(connection)
        if hello is None or hello.kind != Kind.HELLO:
            return
        name, _, options = hello.text.partition(b"\0")
        try:
            session = _Session(os.fsdecode(name), open_clip, options.decode(errors="replace"))
            with session, FrameRing(hello.width, hello.height, session.frame) as ring:
                ready = Message(kind=Kind.READY, slot=ring.slots, number=ring.stride)
                send(connection, ready, ring.descriptor)
                _answer(connection, session, ring)
        except Exception as error:  # noqa: BLE001 - the host shows it; this process has nobody else to tell
            send(connection, Message(kind=Kind.FAILED, text=_words(error)))


def _answer(connection: socket, session: "_Session", ring: FrameRing) -> None:
    """Answer requests until the host closes; decode ahead while it works with the last frame.

    An error while nothing is asked waits for the next request: the host listens only then.
    """
    shown: int | None = None
    problem: Exception | None = None
    while True:
        if shown is not None and problem is None and not select.select([connection], [], [], 0)[0]:
            last = min(shown + _AHEAD, session.frame_count - 1)
            ahead = next((index for index in range(shown + 1, last + 1) if index not in ring), None)
            if ahead is not None:
                problem = _problem(ring.slot_of, ahead)
                continue
        request = receive(connection)
        if request is None:
            return
        if request.kind == Kind.OPTIONS:
            problem, shown = _problem(session.change, request.text.decode(errors="replace"), ring.forget), None
        elif request.kind == Kind.GET:
            if problem is not None:
                raise problem
            shown = session.index_at(request.time)
            send(connection, Message(kind=Kind.FRAME, slot=ring.slot_of(shown), number=shown))
        else:
            raise ProtocolError(f"a host does not say {request.kind.name}")


def _problem(work: Callable[..., object], *arguments: object) -> Exception | None:
    """Do some work; return what went wrong, for later."""
    try:
        work(*arguments)
    except Exception as error:  # noqa: BLE001 - raised when the host asks again
        return error
    return None


class _Session:
    """An open clip and the options that the host gave."""

    def __init__(self, name: str, open_clip: OpenClip, options: str) -> None:
        self._name, self._open = name, open_clip
        self._options = _parsed(options)
        self._clip = self._opened()

    @property
    def frame_count(self) -> int:
        """Frames of the clip."""
        return len(self._clip)

    def frame(self, index: int) -> Frame:
        """Return a frame, uint8 (H, W, 3) RGB."""
        return self._clip.frame(index)

    def index_at(self, time: int) -> int:
        """Return the frame that is shown at a time; the last one is held.

        Args:
            time: microseconds of the host's clip. FFmpeg rounds to whole milliseconds, so half of one is added.
        """
        start = Fraction(self._options.get("start", "0")) * 1_000_000
        index = int((time + start + _MILLISECOND_HALF) * self._clip.spec.rate / 1_000_000)
        return min(max(index, 0), len(self._clip) - 1)

    def change(self, options: str, forget: Callable[[], None]) -> None:
        """Take other options; call `forget` when frames may come out otherwise from now on."""
        before, self._options = self._options, _parsed(options)
        if any(before.get(name) != self._options.get(name) for name in ("device", "precision")):
            forget()
            self._clip.close()
            self._clip = self._opened()

    def _opened(self) -> FrameSource:
        return self._open(self._name, self._options.get("device", "auto"), self._options.get("precision", "fp32"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self._clip.close()


def _parsed(text: str) -> dict[str, str]:
    """Return the options of a text like "strict+start=2.5".

    Raises:
        UsageError: an option that does not exist, or a start that is no number.
    """
    pairs = [part.partition("=")[::2] for part in text.split("+") if part]
    options = {name: value for name, value in pairs if name not in _HOSTS_OWN}
    known = ("start", "device", "precision")
    for name in options:
        if name not in known:
            raise UnknownNameError("option", name, [*known, *_HOSTS_OWN])
    try:
        Fraction(options.get("start", "0"))
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"start={options['start']} is no number of seconds; write start=2.5") from None
    return options


def _words(error: Exception) -> bytes:
    """Return what the host shows of an error."""
    text = str(error) if isinstance(error, NervplayError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split()).encode(errors="replace")[:400]
