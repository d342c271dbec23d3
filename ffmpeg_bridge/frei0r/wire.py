"""Messages between the plug-in and the decoder; docs/spec/frame-server.md is the protocol."""

import struct
from dataclasses import dataclass
from enum import IntEnum
from socket import SCM_RIGHTS, SOL_SOCKET, socket

__all__ = ["MAGIC", "Kind", "Message", "ProtocolError", "receive", "send"]

MAGIC = 0x3156524E
"""The bytes "NRV1"."""

_HEAD = struct.Struct("<IHHIIIIqq")
_LONGEST = 8191


class Kind(IntEnum):
    """What a message says."""

    HELLO = 1
    READY = 2
    FAILED = 3
    GET = 4
    FRAME = 5
    OPTIONS = 6


class ProtocolError(Exception):
    """The other end does not speak this protocol; there is nothing to answer."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message; what a kind does not use is 0.

    Args:
        kind: what it says.
        text: its body, at most 8191 bytes.
        slot: READY: number of slots; FRAME: the slot that holds the frame.
        width: HELLO: columns that the host wants.
        height: HELLO: rows that the host wants.
        time: GET: microseconds from the start of the host's clip.
        number: READY: bytes from one slot to the next; FRAME: index of the frame.
    """

    kind: Kind
    text: bytes = b""
    slot: int = 0
    width: int = 0
    height: int = 0
    time: int = 0
    number: int = 0


def send(connection: socket, message: Message, descriptor: int | None = None) -> None:
    """Send a message, with a file descriptor where one goes along.

    Raises:
        OSError: the other end has gone.
    """
    text = message.text[:_LONGEST]
    fields = (message.slot, message.width, message.height, message.time, message.number)
    data = _HEAD.pack(MAGIC, message.kind, 0, len(text), *fields) + text
    if descriptor is None:
        connection.sendall(data)
        return
    sent = connection.sendmsg([data], [(SOL_SOCKET, SCM_RIGHTS, struct.pack("i", descriptor))])
    connection.sendall(data[sent:])


def receive(connection: socket) -> Message | None:
    """Return the next message; None when the other end has closed.

    Raises:
        ProtocolError: what came is no message.
        OSError: the connection broke.
    """
    head = _exactly(connection, _HEAD.size)
    if not head:
        return None
    magic, kind, _, length, slot, width, height, time, number = _HEAD.unpack(head)
    if magic != MAGIC or length > _LONGEST or kind not in Kind.__members__.values():
        raise ProtocolError(f"no message of this protocol: {head!r}")
    text = _exactly(connection, length)
    return Message(kind=Kind(kind), text=text, slot=slot, width=width, height=height, time=time, number=number)


def _exactly(connection: socket, size: int) -> bytes:
    """Return `size` bytes, none when the other end closes before the first."""
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            if data:
                raise ProtocolError(f"the connection ended after {len(data)} of {size} bytes")
            break
        data += more
    return data
