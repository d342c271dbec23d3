"""A player over a backend without threads: what it wants is decoded when the test says so."""

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest

from app.core.cache import Key, Picture
from app.core.clock import Clock
from app.core.facts import Choice, MediaFacts
from app.core.player import Player
from app.core.settings import Settings
from app.core.slot import Alignment, OpenRequest, Slot
from app.core.sources import Kind, SourceRef
from app.core.transport import Transport
from nervplay.video import VideoSpec

WIDTH, HEIGHT = 32, 24


class HandClock:
    """Nanoseconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)


@pytest.fixture
def hand() -> HandClock:
    return HandClock()


def picture_of(key: Key, shade: int = 0) -> Picture:
    return np.full((HEIGHT, WIDTH, 4), (int(8 * key) + shade) % 256, np.uint8)


class FakeBackend:
    """Remembers what it is asked; `work` decodes the first wanted picture of every slot."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.wanted: dict[str, list[Key]] = {}
        self.calls: list[tuple[object, ...]] = []
        self.decoded: list[tuple[str, Key]] = []
        self.accepts = True

    def open(self, slot: Slot, request: OpenRequest) -> None:
        self.calls.append(("open", slot.name, str(request.ref), request.like, request))

    def time_stages(self, slot: Slot) -> None:
        self.calls.append(("stages", slot.name))

    def close(self, slot: Slot) -> None:
        self.calls.append(("close", slot.name))

    def set_precision(self, slot: Slot, precision: str, device: str) -> None:
        self.calls.append(("precision", slot.name, precision, device))

    def want(self, slot: Slot, keys: Sequence[Key]) -> None:
        self.wanted[slot.name] = list(keys)

    def measure(self, frame: int, a: Picture, b: Picture, names: Sequence[str], ticket: tuple) -> bool:
        self.calls.append(("measure", frame, tuple(names), ticket))
        return self.accepts

    def work(self, rounds: int = 1) -> None:
        for _ in range(rounds):
            for slot in self.player.open_slots:
                missing = slot.cache.missing(self.wanted.get(slot.name, []))
                if missing:
                    slot.cache.put(missing[0], picture_of(missing[0], slot.name == "B"))
                    self.decoded.append((slot.name, missing[0]))
            self.player.tick()


def facts(kind: str = "video", count: int = 10, **more: object) -> MediaFacts:
    spec = VideoSpec(width=WIDTH, height=HEIGHT, frame_count=count, rate=Fraction(10))
    if kind == "nerv":
        more = {"architecture": "hnerv", "precision": "fp32", "device": "cpu", "file_bytes": 960, **more}
        more["precisions"] = (Choice(name="fp32"), Choice(name="bf16"), Choice(name="int8", reason="not built"))
    return MediaFacts(title=kind, kind=kind, spec=spec, **more)  # type: ignore[arg-type]


Opener = Callable[..., Slot]


@pytest.fixture
def player(hand: HandClock) -> Player:
    player = Player(Settings(), Transport(clock=Clock(hand)))
    player.connect(FakeBackend(player))
    return player


@pytest.fixture
def backend(player: Player) -> FakeBackend:
    assert isinstance(player.backend, FakeBackend)
    return player.backend


@pytest.fixture
def open_in(player: Player) -> Opener:
    """Open a pretended source: `open_in(1, "nerv", continuous_time=True)`."""

    def run(number: int, kind: str = "video", count: int = 10, **more: object) -> Slot:
        slot = player.slots[number]
        known = facts(kind, count, **more)
        ref = SourceRef(Kind.NERV if kind == "nerv" else Kind.VIDEO, f"{slot.name}.{kind}")
        player.open(slot, ref)
        player.opened(slot, ref, known, Alignment(known.spec, {"name": "clip"} if kind == "nerv" else {}))
        return slot

    return run
