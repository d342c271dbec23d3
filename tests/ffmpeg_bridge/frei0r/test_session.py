"""The decoder's end of the protocol, spoken to by hand as docs/spec/frame-server.md has it."""

import contextlib
import mmap
import os
import socket
import struct
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ffmpeg_bridge.frei0r import FrameServer
from ffmpeg_bridge.frei0r.session import run_session
from ffmpeg_bridge.frei0r.wire import Kind, Message, ProtocolError, receive, send
from nervplay.decode.testing import FakeDecoder, read_index
from nervplay.errors import MissingInputError, OutputError
from nervplay.video import VideoSpec

SPEC = VideoSpec(width=128, height=72, frame_count=60, rate=Fraction(30000, 1001))
HEAD = struct.Struct("<IHHIIIIqq")


class Opened(list):
    """Clips that were opened, with what was asked for."""

    def __call__(self, name, device, precision):
        if name == "none":
            raise MissingInputError("none does not exist;\n  check the name")
        self.append((name, device, precision, FakeDecoder(SPEC)))
        return self[-1][-1]


@pytest.fixture
def opened():
    return Opened()


@pytest.fixture
def connection(opened):
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=run_session, args=(theirs, opened))
    thread.start()
    ours.settimeout(20)
    yield ours
    ours.close()
    thread.join(20)
    assert not thread.is_alive()


def hello(connection, text=b"clip\0", width=128, height=72):
    connection.sendall(HEAD.pack(0x3156524E, 1, 0, len(text), 0, width, height, 0, 0) + text)


def ready(connection):
    data, descriptors, _, _ = socket.recv_fds(connection, 40, 1)
    magic, kind, flags, length, slots, _, _, _, stride = HEAD.unpack(data)
    assert (magic, kind, flags, length) == (0x3156524E, 2, 0, 0)
    memory = mmap.mmap(descriptors[0], slots * stride, prot=mmap.PROT_READ)
    os.close(descriptors[0])
    return slots, stride, memory


def get(connection, microseconds):
    connection.sendall(HEAD.pack(0x3156524E, 4, 0, 0, 0, 0, 0, microseconds, 0))
    return receive(connection)


def picture(memory, slot, stride):
    return np.frombuffer(memory, np.uint8, 128 * 72 * 4, slot * stride).reshape(72, 128, 4).copy()


def test_frames_lie_in_the_slots_that_are_named(connection, opened):
    hello(connection, b"a \xff name\0strict+device=cpu+precision=bf16")
    slots, stride, memory = ready(connection)
    assert slots >= 2
    assert stride % 4096 == 0
    for index in (0, 1, 2, 30, 29, 59, 3, 4, 5, 6, 7, 8):
        answer = get(connection, round(index * 1_001_000_000 / 30000))
        assert (answer.kind, answer.number, answer.text) == (Kind.FRAME, index, b"")
        shown = picture(memory, answer.slot, stride)
        np.testing.assert_array_equal(shown[..., :3], FakeDecoder(SPEC).frame(index))
        assert (shown[..., 3] == 255).all()
    assert [clip[:3] for clip in opened] == [(os.fsdecode(b"a \xff name"), "cpu", "bf16")]


def test_a_slot_stays_until_the_next_request(connection):
    hello(connection)
    _, stride, memory = ready(connection)
    for index in range(20):
        answer = get(connection, index * 33_367)
        before = picture(memory, answer.slot, stride)
        threading.Event().wait(0.03)  # the decoder works ahead meanwhile
        np.testing.assert_array_equal(picture(memory, answer.slot, stride), before)
        assert read_index(before[..., :3]) == index


@pytest.mark.parametrize(("time", "index"), [(-5, 0), (0, 0), (32_860, 0), (32_867, 1), (33_000, 1), (10**12, 59)])
def test_times_between_and_outside(connection, time, index):
    hello(connection)
    _, _, memory = ready(connection)
    assert get(connection, time).number == index
    memory.close()


def test_options_change_without_an_answer(connection, opened):
    hello(connection)
    ready(connection)
    send(connection, Message(kind=Kind.OPTIONS, text=b"strict+start=1.001"))
    assert get(connection, 0).number == 30
    send(connection, Message(kind=Kind.OPTIONS, text=b"start=1001/1000+device=cpu"))
    assert get(connection, 0).number == 30
    assert [clip[1] for clip in opened] == ["auto", "cpu"]
    for wrong, words in ((b"start=soon", b"start=soon is no number"), (b"sped=2", b"unknown option 'sped'")):
        send(connection, Message(kind=Kind.OPTIONS, text=wrong))
        if wrong == b"sped=2":
            answer = get(connection, 0)
            assert answer.kind == Kind.FAILED
            assert words in answer.text
            assert receive(connection) is None


def test_a_clip_that_cannot_be_opened(connection):
    hello(connection, b"none\0")
    answer = receive(connection)
    assert (answer.kind, answer.text) == (Kind.FAILED, b"none does not exist; check the name")
    assert receive(connection) is None


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n" * 9, HEAD.pack(0x3156524E, 9, 0, 0, 0, 0, 0, 0, 0), b"NRV1"])
def test_strangers_are_left(connection, garbage):
    connection.sendall(garbage)
    connection.shutdown(socket.SHUT_WR)
    with contextlib.suppress(ConnectionResetError):  # it left without reading the rest
        assert receive(connection) is None


def test_messages_travel_whole():
    ours, theirs = socket.socketpair()
    message = Message(kind=Kind.HELLO, text=b"x" * 8191, width=3, height=4, time=-7, number=1 << 40, slot=9)
    send(ours, message)
    assert receive(theirs) == message
    ours.sendall(b"NRV1")
    ours.close()
    with pytest.raises(ProtocolError, match="after 4 of 40"):
        receive(theirs)
    theirs.close()


def test_clips_and_memory_are_given_back(opened):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=run_session, args=(theirs, opened))
        thread.start()
        hello(ours)
        _, _, memory = ready(ours)
        get(ours, 0)
        memory.close()
        ours.close()
        thread.join()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    for *_, clip in opened:
        with pytest.raises(ValueError, match="closed"):
            clip.frame(0)


def test_a_server_ends_with_hosts_still_connected(opened, tmp_path):
    server = FrameServer(tmp_path / "s", opened)
    hosts = []
    for _ in range(2):
        hosts.append(socket.socket(socket.AF_UNIX))
        hosts[-1].connect(str(tmp_path / "s"))
        hello(hosts[-1])
        ready(hosts[-1])
    server.close()
    server.close()
    assert not (tmp_path / "s").exists()
    assert [thread for thread in threading.enumerate() if thread.name.startswith("frame-server")] == []
    for host in hosts:
        assert host.recv(1) == b""
        host.close()
    with pytest.raises(OutputError, match="no socket can be made"):
        FrameServer(tmp_path / "none" / "s", opened)
