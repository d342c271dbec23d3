"""The player: what is open, what is shown, what is decoded next. Plain state; no Qt, no torch, one thread.

    widgets ──commands──> Player ──want, open, ...──> Backend (threads) ──pictures──> PictureCache of each slot
       ^                    │  ^                          │
       └──── Events ────────┘  └──── opened, measured ────┘        `tick` runs on a timer and after every picture

`tick` moves the transport to the frame that the clock says, as far as its pictures are there, and tells the backend
what to decode next. A picture is shown only when every source has the same frame; until then the last one stays, so
nothing ever goes black. While playing rests, what is left of the clip is decoded and measured.
"""

import math
from fractions import Fraction

from app.core.cache import Key, Picture
from app.core.events import Events
from app.core.facts import MediaFacts
from app.core.measuring import Measuring
from app.core.plan import ascending_chunks, next_frames
from app.core.settings import Settings
from app.core.slot import SLOT_NAMES, Alignment, Backend, OpenRequest, Slot
from app.core.sources import Kind, SourceRef
from app.core.time_span import TimeSpan
from app.core.transport import Transport
from app.core.view import Mode, View

__all__ = ["Player"]

_AHEAD = 32
"""Frames to look ahead while playing, where the memory budget allows it."""

_SLOW_PLAN = 4
"""Frames to look ahead where decoding is slower than playing: forecasts are no better than that."""


class Player(Measuring):
    """The state of the player, and all that changes it.

    Args:
        settings: what the user prefers.
        transport: what decides which frame is due; a fresh one when None.
        device: device for networks in this run; the setting when None.
    """

    def __init__(
        self, settings: Settings | None = None, transport: Transport | None = None, *, device: str | None = None
    ) -> None:
        self.settings = settings or Settings()
        self.device = device or self.settings.device
        self.transport = transport or Transport()
        self.transport.every_frame = self.settings.every_frame
        self.transport.lost = self.lost
        self.view = View()
        self.span = TimeSpan()
        self.events = Events()
        self.slots = tuple(Slot(name) for name in SLOT_NAMES)
        super().__init__(measure=self.settings.metrics)
        self.between = Fraction(0)
        self.region: tuple[int, int, int, int] | None = None
        self.probe: tuple[int, int] | None = None
        self.message = ""
        self.pictures: list[Picture | None] = [None] * len(self.slots)
        self.shown_frame = 0
        self._shown: tuple[object, ...] = ()
        self._goal: tuple[int, Fraction] = (0, Fraction(0))
        self._position: tuple[int, Fraction] = (0, Fraction(0))
        self._backend: Backend | None = None
        self._last_wants: dict[str, list[Key]] = {}
        self._planned: list[int] = []
        self._ahead: list[int] = []

    def connect(self, backend: Backend) -> None:
        """Take the backend that does the work."""
        self._backend = backend

    @property
    def backend(self) -> Backend:
        """What does the work."""
        assert self._backend is not None, "connect comes first"
        return self._backend

    # What is open

    @property
    def open_slots(self) -> list[Slot]:
        """The slots that have frames, in order."""
        return [slot for slot in self.slots if slot.is_open]

    @property
    def has_clip(self) -> bool:
        """Whether anything is open."""
        return bool(self.open_slots)

    @property
    def has_pair(self) -> bool:
        """Whether A and B are both open."""
        return self.slots[0].is_open and self.slots[1].is_open

    @property
    def neural(self) -> Slot | None:
        """The neural video that tools act on: B, else the first slot that has one."""
        order = (self.slots[1], self.slots[0], *self.slots[2:])
        return next((slot for slot in order if slot.facts is not None and slot.facts.architecture), None)

    def open(self, slot: Slot, ref: SourceRef, *, precision: str = "", offset: int = 0) -> None:
        """Open a source in a slot, in place of what is there; that stays on the screen until the new one is there.

        Args:
            slot: one of `slots`.
            ref: what to open.
            precision: arithmetic of a network; empty for FP32.
            offset: frames by which it is shifted against A.
        """
        slot.begin(ref, offset)
        slot.precision, slot.stages = precision, ()
        slot.like = self._alignment(slot, ref)
        self.backend.open(slot, self.request_of(slot))
        self.events.emit("clip")

    def close_all(self) -> None:
        """Empty all slots."""
        for slot in self.slots:
            self.backend.close(slot)
            slot.empty()
        self.transport.set_clip(1, Fraction(25))
        self.between, self.region, self.shown_frame = Fraction(0), None, 0
        self.rd.clear()
        self._forget()
        for name in ("clip", "frame", "transport", "metrics"):
            self.events.emit(name)

    def close_slot(self, slot: Slot) -> None:
        """Empty one slot."""
        self.backend.close(slot)
        slot.empty()
        self._clip_changed()

    def opened(self, slot: Slot, ref: SourceRef, facts: MediaFacts, alignment: Alignment) -> None:
        """Take what the backend opened; called by the backend.

        Args:
            slot: where.
            ref: what was asked for; an answer to an older question is ignored.
            facts: what it is.
            alignment: how other clips have to be cut to be compared with it.
        """
        if slot.ref != ref:
            return
        slot.end(failed=False)
        slot.facts, slot.record = facts, alignment.record
        if facts.address:  # a session opens the same commit again, whatever the branch says by then
            slot.ref = SourceRef(Kind.HUB, facts.address)
        slot.precision, slot.device = facts.precision, facts.device
        slot.stats.clear()
        if ref.kind is not Kind.ANCHOR:
            self.settings.remember(str(ref))
        self._align_videos()
        self._clip_changed()

    def failed(self, slot: Slot, message: str, ref: SourceRef | None = None) -> None:
        """Take the backend's refusal; what was there before stays.

        Args:
            slot: where.
            message: what went wrong, for the user.
            ref: what could not be opened; None where something else was refused.
        """
        if ref is None:
            slot.pending_precision = ""
        elif slot.opening and slot.ref == ref:
            slot.end(failed=True)
        self.say(message)
        self.events.emit("clip")

    def request_of(self, slot: Slot) -> OpenRequest:
        """Return all that opening the source of a slot needs."""
        assert slot.ref is not None, "an empty slot has nothing to open"
        clips = (other.ref for other in self.slots if other is not slot and other.ref is not None)
        neural = self.neural
        return OpenRequest(
            ref=slot.ref,
            like=slot.like,
            precision=slot.precision,
            device=self.device,
            reference=next((clip for clip in clips if clip.kind is Kind.VIDEO), None),
            target_bytes=neural.facts.file_bytes if neural is not None and neural.facts is not None else None,
        )

    def _alignment(self, slot: Slot, ref: SourceRef) -> Alignment | None:
        """Return how a source in `slot` has to be cut: like the first neural video elsewhere; None for no cut."""
        if ref.kind not in (Kind.VIDEO, Kind.ANCHOR):
            return None
        for other in self.slots:
            if other is not slot and other.facts is not None and other.facts.architecture:
                return Alignment(other.facts.spec, other.record)
        return None

    def _align_videos(self) -> None:
        """Open those videos again that are not cut as the neural video that came in needs it."""
        for slot in self.slots:
            if slot.ref is None or slot.opening or slot.facts is None or slot.ref.kind is not Kind.VIDEO:
                continue
            like = self._alignment(slot, slot.ref)
            if like != slot.like:
                slot.like, slot.opening = like, True
                self.backend.open(slot, self.request_of(slot))

    def _clip_changed(self) -> None:
        """Set length and rate of the timeline, and the memory of each slot, after a source came or went."""
        slots = self.open_slots
        lead = slots[0].facts if slots else None
        count = lead.spec.frame_count if lead else 1
        rate = lead.spec.rate if lead else Fraction(25)
        if (count, rate) != (self.transport.frame_count, self.transport.rate):
            self.transport.set_clip(count, rate)
        self.memory_changed()
        if self.region is not None and lead is not None:
            x, y, width, height = self.region
            if x + width > lead.spec.width or y + height > lead.spec.height:
                self.region = None
        self._forget()
        for name in ("clip", "transport", "metrics", "view"):
            self.events.emit(name)
        self.tick()

    def memory_changed(self) -> None:
        """Share the memory that settings allow among the open slots."""
        slots = self.open_slots
        for slot in slots:
            slot.cache.budget = self.settings.cache_mb * 1_000_000 // len(slots)
        self.tick()

    def _forget(self) -> None:
        """Drop what is on the screen of slots that are empty, and let the rest be shown anew."""
        for number, slot in enumerate(self.slots):
            if not slot.is_open:
                self.pictures[number] = None
        self._shown = ()
        self._goal = (self.transport.frame, self.between)
        self._last_wants.clear()
        self._planned.clear()

    # Precision and device

    def set_precision(self, precision: str, slot: Slot | None = None) -> None:
        """Switch the arithmetic of a neural video; the picture stays until the first one of the new kind is there."""
        slot = slot or self.neural
        if slot is None or slot.facts is None or slot.pending_precision == precision:
            return
        slot.pending_precision = precision
        self.backend.set_precision(slot, precision, slot.device)

    def set_device(self, device: str, slot: Slot | None = None) -> None:
        """Move a neural video to another device; the picture stays meanwhile."""
        slot = slot or self.neural
        if slot is not None and slot.facts is not None:
            self.backend.set_precision(slot, slot.facts.precision, device)

    def switched(self, slot: Slot, facts: MediaFacts) -> None:
        """Take what the backend switched to, or learned of a source; called by the backend."""
        if slot.facts is None:
            return
        if (facts.precision, facts.device) != (slot.facts.precision, slot.facts.device):
            slot.stats.clear()
            slot.stages = ()
        slot.facts, slot.pending_precision = facts, ""
        slot.precision, slot.device = facts.precision, facts.device
        self.events.emit("clip")
        self.events.emit("metrics")
        self.tick()

    def prepared(self, slot: Slot, precision: str, part: float) -> None:
        """Take how far a precision is made ready, 0 .. 1, or "" when that has ended; called by the backend."""
        slot.preparing = (precision, part) if slot.facts is not None else ("", 0.0)
        self.events.emit("preparing")

    def time_stages(self) -> None:
        """Measure the stages of the network."""
        if self.neural is not None:
            self.backend.time_stages(self.neural)

    def staged(self, slot: Slot, stages: tuple[tuple[str, float], ...]) -> None:
        """Take the milliseconds per stage; called by the backend."""
        slot.stages = stages
        self.events.emit("clip")

    def say(self, message: str) -> None:
        """Show a line to the user."""
        self.message = message
        self.events.emit("message")

    def unsay(self, message: str) -> None:
        """Take a line away, unless another one has followed it."""
        if self.message == message:
            self.say("")

    # What is shown

    @property
    def shown_mode(self) -> Mode:
        """The mode of the view, or the grid where that mode needs a source that is not open: it shows what there is."""
        mode = self.view.mode
        needed = {Mode.A: self.slots[:1], Mode.B: self.slots[1:2]}.get(mode, self.slots[:2])
        return mode if all(slot.is_open for slot in needed) else Mode.GRID

    def keys(self, frame: int, between: Fraction = Fraction(0)) -> tuple[Key | None, ...]:
        """Return what each slot shows for a frame of the timeline; None for empty slots."""
        return tuple(slot.key(frame, between) if slot.is_open else None for slot in self.slots)

    def ready(self, frame: int, between: Fraction = Fraction(0)) -> bool:
        """Return whether all sources have their picture of a frame."""
        return self.has_clip and all(slot.key(frame, between) in slot.cache for slot in self.slots if slot.is_open)

    def lost(self, frame: int, between: Fraction = Fraction(0)) -> bool:
        """Return whether some source has no picture of a frame, for it could not be decoded."""
        return self._lost_in(self.open_slots, frame, between)

    def seek(self, frame: int, between: Fraction = Fraction(0)) -> None:
        """Go to a frame, or while paused to a position behind it; one that could not be decoded is tried again."""
        self.transport.seek(frame)
        last = self.transport.frame_count - 1
        self.between = between if not self.transport.playing and self.transport.frame < last else Fraction(0)
        for slot in self.open_slots:
            slot.cache.try_again(slot.key(self.transport.frame, self.between))
        self.events.emit("transport")
        self.tick()

    def tick(self) -> None:
        """Show what is due and ready, and say what to decode next; cheap, and called often."""
        if not self.has_clip:
            return
        was_playing = self.transport.playing
        if was_playing:
            self.between = Fraction(0)
            self.transport.advance(self.ready)
            if not self.transport.playing:
                self.events.emit("transport")
        if was_playing and self.transport.playing:
            self._goal = (self.transport.frame, Fraction(0))
        else:
            self._show(*self._goal)
            if self._goal == self._position or not self._shown or self.lost(*self._goal):
                self._goal = (self.transport.frame, self.between)  # a newer wish waits for the last one to be shown
        self._show(*self._goal)
        self._measure()
        self._plan()

    def _show(self, frame: int, between: Fraction) -> None:
        """Put the pictures of a frame on the screen, unless one is missing or they are there already."""
        keys = self.keys(frame, between)
        stamp = (frame, between, keys, tuple(slot.cache.generation for slot in self.slots))
        if stamp == self._shown:
            return
        pictures = [
            slot.cache.get(key) if key is not None else None for slot, key in zip(self.slots, keys, strict=True)
        ]
        if any(picture is None for picture, slot in zip(pictures, self.slots, strict=True) if slot.is_open):
            return
        self._shown, self._position = stamp, (frame, between)
        self.pictures, self.shown_frame = pictures, frame
        self.events.emit("frame")

    # What is decoded next

    def _plan(self) -> None:
        """Tell the backend what each source should decode, best first, and the caches what to keep for it."""
        self._ahead = []
        if self.transport.playing:
            self._plan_playing()
        for slot in self.open_slots:
            wants = self._playing_wants(slot) if self.transport.playing else self._resting_wants(slot)
            here, transport = slot.key(self.transport.frame), self.transport
            slot.cache.head(here, transport.direction, transport.frame_count, [*map(slot.key, self._ahead), *wants])
            missing = slot.cache.missing(dict.fromkeys(wants))
            if missing != self._last_wants.get(slot.name):
                self._last_wants[slot.name] = missing
                self.backend.want(slot, missing)

    def _room(self, slot: Slot) -> int:
        """Return how many pictures of a slot may lie ahead of the one on the screen."""
        assert slot.facts is not None
        spec = slot.facts.spec
        return slot.cache.capacity(4 * spec.width * spec.height) - 2

    def _playing_wants(self, slot: Slot) -> list[Key]:
        """Return what a source decodes while playing: the plan, for a file played backward in rising chunks."""
        assert slot.facts is not None
        frames = self._planned
        if self.transport.direction < 0 and slot.facts.sequential:
            frames = ascending_chunks(frames, max(2, len(frames) // 2))
        return [slot.key(frame) for frame in frames]

    def _plan_playing(self) -> None:
        """Bring the plan for playing up to now."""
        slots = self.open_slots
        room = min(_AHEAD, *(self._room(slot) for slot in slots))
        if self.transport.every_frame:
            self._planned = self._ahead = self.transport.coming(room)
            return
        latency = max(slot.stats.latency for slot in slots)
        step = latency * abs(float(self.transport.signed_rate))

        def begun(frame: int) -> bool:
            return any(slot.key(frame) == slot.working or slot.key(frame) in slot.cache for slot in slots)

        def decided(frame: int) -> bool:
            return self.ready(frame) or self.lost(frame)

        limit = room if step < 1 else min(room, _SLOW_PLAN)
        ahead = self.transport.ahead(room + math.ceil((limit + 1) * step))
        self._ahead = ahead[: room + 1]
        self._planned = next_frames(self._planned, ahead, ready=decided, begun=begun, step=step, limit=limit, room=room)

    def _resting_wants(self, slot: Slot) -> list[Key]:
        """Return what to decode while playing rests: the goal, its neighbours, what is to be measured, what fits."""
        keys: list[Key] = [slot.key(*self._goal), slot.key(self.transport.frame, self.between)]
        frame, count = self.transport.frame, self.transport.frame_count
        near = [frame + step for step in (1, -1, 2) if 0 <= frame + step < count]
        keys += [slot.key(other) for other in near]
        measure = self._next_to_measure()
        if measure is not None:
            keys.append(slot.key(measure[1]))
        room = self._room(slot) - len(near) - 2
        if self.settings.cache_mb and room > 0:
            keys += [slot.key((frame + step) % count) for step in range(min(room, count))]
        return keys

    # Comparing

    def set_region(self, region: tuple[int, int, int, int] | None) -> None:
        """Measure only a part of the picture: left, top, width, height in pixels; None for none."""
        self.region = region
        self.events.emit("view")

    def swap(self, first: int = 0, second: int = 1) -> None:
        """Exchange two slots with all that they hold; nothing is decoded for it."""
        slots = list(self.slots)
        slots[first], slots[second] = slots[second], slots[first]
        for slot, name in zip(slots, SLOT_NAMES, strict=True):
            slot.name = name
        self.slots = tuple(slots)
        shift = self.slots[0].offset  # A is what the others are shifted against
        for slot in self.open_slots:
            slot.offset -= shift
        self._clip_changed()

    def nudge(self, frames: int) -> None:
        """Shift B by frames against A; 0 takes the shift back."""
        b = self.slots[1]
        limit = self.transport.frame_count - 1
        b.offset = 0 if frames == 0 else min(limit, max(-limit, b.offset + frames))
        self._shown = ()
        self.events.emit("clip")
        self.events.emit("metrics")
        self.tick()
