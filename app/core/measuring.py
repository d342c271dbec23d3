"""The measuring half of the player: which pair is measured next, what was found, where the worst frames are."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from fractions import Fraction

from app.core.events import Events
from app.core.pictures import same_size
from app.core.quality import PLOTTED, Quality
from app.core.rd import RdPoints
from app.core.slot import Backend, Slot
from app.core.tracks import MetricTrack
from app.core.transport import Transport

__all__ = ["Measuring"]


class Measuring(ABC):
    """What the player does about quality; the player is the rest.

    Args:
        measure: whether to measure in the background.
    """

    transport: Transport
    events: Events
    slots: tuple[Slot, ...]
    between: Fraction
    shown_frame: int
    _shown: tuple[object, ...]
    _position: tuple[int, Fraction]

    def __init__(self, *, measure: bool) -> None:
        self.quality = Quality()
        self.quality.on = measure
        self.rd = RdPoints()

    @property
    @abstractmethod
    def backend(self) -> Backend:
        """What does the work."""

    @property
    @abstractmethod
    def has_pair(self) -> bool:
        """Whether A and B are both open."""

    @abstractmethod
    def tick(self) -> None:
        """Show what is due and ready, and say what to decode next."""

    @abstractmethod
    def seek(self, frame: int, between: Fraction = Fraction(0)) -> None:
        """Go to a frame."""

    @abstractmethod
    def lost(self, frame: int, between: Fraction = Fraction(0)) -> bool:
        """Return whether some source has no picture of a frame."""

    @abstractmethod
    def say(self, message: str) -> None:
        """Show a line to the user."""

    @property
    def track(self) -> MetricTrack | None:
        """The values of B against A as they are shown now; None where they cannot be compared."""
        return self.track_of(self.slots[1]) if self.has_pair else None

    def track_of(self, slot: Slot) -> MetricTrack:
        """Return the values of an open slot against A."""
        return self.quality.track(self.slots[0], slot, self.transport.frame_count)

    @property
    def comparable(self) -> bool:
        """Whether A and B have one size, so that differences and measures exist."""
        return self.has_pair and self.slots[1] in self._measurable()

    def _measurable(self) -> list[Slot]:
        """Return the open slots that can be compared with A, B first."""
        a = self.slots[0].facts
        if a is None:
            return []
        size = (a.spec.width, a.spec.height)
        return [
            slot
            for slot in self.slots[1:]
            if slot.facts is not None and (slot.facts.spec.width, slot.facts.spec.height) == size
        ]

    def _next_to_measure(self) -> tuple[Slot, int] | None:
        """Return what to measure next while playing rests: B first, then the others."""
        for slot in self._measurable() if self.quality.on else ():
            names = self.quality.wanted(self.quality.ticket(self.slots[0], slot), playing=False)
            for frame in self.track_of(slot).unmeasured(names, self.transport.frame):
                if self.measurable_at(slot, frame):
                    return slot, frame
        return None

    def measurable_at(self, slot: Slot, frame: int) -> bool:
        """Return whether A and another open slot both have a frame, so that it can be measured."""
        pair = (self.slots[0], slot)
        return all(source.covers(frame) for source in pair) and not self._lost_in(pair, frame)

    @staticmethod
    def _lost_in(slots: Iterable[Slot], frame: int, between: Fraction = Fraction(0)) -> bool:
        """Return whether one of some open slots has no picture of a frame, for it could not be decoded."""
        return any(slot.cache.lost(slot.key(frame, between)) for slot in slots)

    def _on_screen(self) -> tuple[Slot, int] | None:
        """Return what is shown of B, where it can be compared with A."""
        b, frame = self.slots[1], self.shown_frame
        return (b, frame) if self.comparable and self.measurable_at(b, frame) else None

    def _measure(self) -> None:
        """Hand a pair over to be measured: the one on the screen while playing, else the next that lacks values."""
        if not self.quality.on or self.quality.busy:
            return
        playing = self.transport.playing
        job = self._on_screen() if playing else self._next_to_measure()
        if job is None:
            return
        slot, frame = job
        ticket = self.quality.ticket(self.slots[0], slot)
        names = self.quality.wanted(ticket, playing=playing)
        if not names or self.track_of(slot).complete(frame, names):
            return
        a, b = (source.cache.get(source.key(frame)) for source in (self.slots[0], slot))
        if a is not None and b is not None and same_size(a, b):
            self.quality.busy = self.backend.measure(frame, a, b, names, ticket)

    @property
    def _on_place(self) -> bool:
        return bool(self._shown) and self._position == (self.transport.frame, self.between)

    @property
    def settled(self) -> bool:
        """Whether playing rests, the picture asked for is on the screen (or cannot be decoded), and nothing is left
        to be measured.
        """
        return (
            not self.transport.playing
            and (self._on_place or self.lost(self.transport.frame, self.between))
            and not self.quality.busy
            and self._next_to_measure() is None
        )

    def measured(self, frame: int, values: dict[str, float | None], ticket: tuple[object, ...]) -> None:
        """Take what was measured; called by the backend."""
        self.quality.busy = False
        self.quality.store(ticket, frame, values)
        for slot in self._measurable():
            psnr = self.track_of(slot).tracks[PLOTTED]
            if slot.source is not None and slot.facts is not None and psnr.mean is not None:
                self.rd.note(slot.source, slot.facts, psnr.mean, psnr.known)
        self.events.emit("metrics")
        self.tick()

    def go_to_worst(self, steps: int) -> None:
        """Pause on the next (1), the previous (-1) or the worst (0) of the worst frames."""
        track = self.track
        frame = self.quality.next_worst(track.tracks[PLOTTED], steps) if track is not None else None
        if frame is None:
            self.say("no frame is measured yet; open A and B, and let measuring in the background run (M)")
            return
        self.transport.pause()
        self.seek(frame)
