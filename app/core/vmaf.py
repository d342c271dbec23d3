"""VMAF in the player: a line over the whole clip, computed once per pair by a process of its own, when it is asked for.

VMAF looks at the motion between frames, so it is measured over the clip from its first frame to its last, unlike the
measures of `app.core.quality`, which take frames as they come by.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from app.core.player import Player
from app.core.quality import VMAF
from app.core.running import Stop
from app.core.slot import Alignment, OpenRequest
from app.core.sources import SourceRef
from nervplay.video.spec import VideoSpec

__all__ = ["VmafLine", "VmafListener", "VmafRequest", "VmafStarter"]


@dataclass(frozen=True)
class VmafRequest:
    """What is measured.

    Args:
        a: the reference.
        b: what is compared with it.
        offsets: frames by which each is shifted against the timeline.
        frame_count: frames of the timeline.
    """

    a: OpenRequest
    b: OpenRequest
    offsets: tuple[int, int]
    frame_count: int

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-plain dict, for a child process."""
        sides = [_request_json(self.a), _request_json(self.b)]
        return {"sides": sides, "offsets": list(self.offsets), "frames": self.frame_count}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "VmafRequest":
        """Return the request that `to_json` wrote in this version of the player."""
        a, b = map(_request_from, data["sides"])
        first, second = data["offsets"]
        return cls(a, b, (first, second), data["frames"])


def _request_json(request: OpenRequest) -> dict[str, Any]:
    like, reference = request.like, request.reference
    return {
        "ref": request.ref.to_json(),
        "like": {"spec": like.spec.to_json(), "record": dict(like.record)} if like is not None else None,
        "precision": request.precision,
        "device": request.device,
        "reference": reference.to_json() if reference is not None else None,
        "target_bytes": request.target_bytes,
    }


def _request_from(data: Mapping[str, Any]) -> OpenRequest:
    like, reference = data["like"], data["reference"]
    return OpenRequest(
        ref=SourceRef.from_json(data["ref"]),
        like=Alignment(VideoSpec.from_json(like["spec"]), like["record"]) if like else None,
        precision=data["precision"],
        device=data["device"],
        reference=SourceRef.from_json(reference) if reference else None,
        target_bytes=data["target_bytes"],
    )


class VmafListener(Protocol):
    """Who is told how a measurement goes; all calls on the owner's thread."""

    def progressed(self, done: int, total: int) -> None:
        """`done` of `total` frames are read."""
        ...

    def measured(self, values: Sequence[float]) -> None:
        """All values are there, 0 to 100, one per frame."""
        ...

    def failed(self, message: str) -> None:
        """It cannot be measured."""
        ...


VmafStarter = Callable[[VmafRequest, VmafListener], Stop]
"""Begins to measure and returns at once; the result stops it."""


class VmafLine:
    """Keeps the VMAF of A and B up to date as long as it is switched on (`Settings.vmaf`).

    Args:
        player: whose A and B.
        start: begins a measurement.
    """

    def __init__(self, player: Player, start: VmafStarter) -> None:
        self._player, self._start = player, start
        self._ticket: tuple[object, ...] | None = None
        self._stops: list[Stop] = []
        for event in ("clip", "options"):
            player.events.on(event, self._look)

    @property
    def running(self) -> bool:
        """Whether a measurement goes on."""
        return self._ticket is not None

    def _look(self) -> None:
        """Begin, go on or stop, as switch and sources are now."""
        player = self._player
        wanted = player.settings.vmaf and player.comparable and not any(slot.opening for slot in player.slots[:2])
        ticket = player.quality.ticket(*player.slots[:2]) if wanted else None
        if ticket == self._ticket:
            return
        self._halt()
        track = player.track
        if ticket is None or track is None or track.tracks[VMAF].known:
            return
        a, b = player.slots[:2]
        request = VmafRequest(
            player.request_of(a), player.request_of(b), (a.offset, b.offset), player.transport.frame_count
        )
        self._ticket = ticket
        self._say("VMAF …")
        self._stops.append(self._start(request, self))

    def _say(self, words: str) -> None:
        self._player.quality.vmaf_words = words
        self._player.events.emit("metrics")

    def _end(self) -> None:
        self._ticket = None
        self._say("")

    def progressed(self, done: int, total: int) -> None:
        """Show how far it is."""
        self._say(f"VMAF {100 * done // total} %")

    def measured(self, values: Sequence[float]) -> None:
        """Keep the values of the frames that both have."""
        player = self._player
        if self._ticket is not None:
            for frame, value in enumerate(values):
                if all(slot.covers(frame) for slot in player.slots[:2]):
                    player.quality.store(self._ticket, frame, {VMAF: value})
        self._end()

    def failed(self, message: str) -> None:
        """Say why, and switch it off: trying again would end the same way."""
        self._end()
        self._player.settings.vmaf = False
        self._player.say(f"VMAF: {message}")
        self._player.events.emit("options")

    def close(self) -> None:
        """Stop what goes on, and wait for it: the window closes."""
        self._halt()
        for stop in self._stops:
            stop(wait=True)

    def _halt(self) -> None:
        """Stop what goes on."""
        if self._ticket is not None:
            self._stops[-1](wait=False)
            self._end()
