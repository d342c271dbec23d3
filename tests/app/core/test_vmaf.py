"""The VMAF line without processes: what is measured when, what is kept, what stops it, what is said."""

import json
from collections.abc import Callable

import pytest

from app.core.player import Player
from app.core.quality import VMAF
from app.core.running import Stop
from app.core.slot import Alignment
from app.core.vmaf import VmafLine, VmafListener, VmafRequest


class Starter:
    def __init__(self) -> None:
        self.requests: list[VmafRequest] = []
        self.listener: VmafListener | None = None
        self.stopped: list[bool] = []

    def __call__(self, request: VmafRequest, listener: VmafListener) -> Stop:
        self.requests.append(request)
        self.listener = listener
        return self.stop

    def stop(self, *, wait: bool) -> None:
        self.stopped.append(wait)


@pytest.fixture
def starter() -> Starter:
    return Starter()


@pytest.fixture
def line(player: Player, starter: Starter) -> VmafLine:
    return VmafLine(player, starter)


@pytest.fixture
def open_pair(player: Player, open_in) -> Callable[[], None]:
    """Open A and B; A is opened twice, the second time cut as B needs it."""

    def run() -> None:
        a = open_in(0)
        open_in(1, "nerv")
        assert a.opening
        player.opened(a, a.ref, a.facts, Alignment(a.facts.spec))

    return run


def switch(player: Player, *, on: bool) -> None:
    player.settings.vmaf = on
    player.events.emit("options")


def test_measured_when_it_is_asked_for(player, open_pair, line: VmafLine, starter: Starter) -> None:
    open_pair()
    player.nudge(-2)
    assert starter.requests == []
    switch(player, on=True)
    (request,) = starter.requests
    assert (str(request.a.ref), str(request.b.ref)) == ("A.video", "B.nerv")
    assert (request.offsets, request.frame_count) == ((0, -2), 10)
    assert VmafRequest.from_json(json.loads(json.dumps(request.to_json()))) == request
    assert line.running
    starter.listener.progressed(3, 10)
    assert player.quality.vmaf_words == "VMAF 30 %"
    starter.listener.measured([90.0 + frame for frame in range(10)])
    known = [player.track.tracks[VMAF].get(frame) for frame in range(10)]
    assert known == [None, None, *(90.0 + frame for frame in range(2, 10))], "B begins two frames later"
    assert (line.running, player.quality.vmaf_words) == (False, "")
    switch(player, on=False)
    switch(player, on=True)
    assert len(starter.requests) == 1, "what is known is not measured again"
    assert player.track.complete(0, ("psnr", "ms-ssim")) is False, "and frames are measured as before"


def test_another_pair_begins_anew(player, open_pair, line: VmafLine, starter: Starter) -> None:
    switch(player, on=True)
    open_pair()
    player.nudge(1)
    assert starter.stopped == [False]
    assert [request.offsets for request in starter.requests] == [(0, 0), (0, 1)]
    player.close_slot(player.slots[1])
    assert starter.stopped == [False, False]
    assert not line.running
    line.close()
    assert starter.stopped[2:] == [True, True]


def test_sizes_that_differ(player, open_in, line: VmafLine, starter: Starter) -> None:
    from dataclasses import replace

    switch(player, on=True)
    open_in(0)
    b = open_in(1, "nerv")
    b.facts = replace(b.facts, spec=replace(b.facts.spec, width=64))
    player.events.emit("clip")
    assert not line.running


def test_where_it_cannot_be_had(player, open_pair, line: VmafLine, starter: Starter) -> None:
    open_pair()
    switch(player, on=True)
    starter.listener.failed("no ffmpeg program is installed; install one")
    assert player.message == "VMAF: no ffmpeg program is installed; install one"
    assert not player.settings.vmaf
    assert not line.running
    assert len(starter.requests) == 1
    switch(player, on=True)
    assert len(starter.requests) == 2, "asked for again, it is tried again"
