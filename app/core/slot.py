"""A slot holds one source: A, B, C or D. What the player knows of it; the source itself lives in a worker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple, Protocol

from app.core.cache import Key, Picture, PictureCache
from app.core.facts import MediaFacts
from app.core.sources import SourceRef
from app.core.stats import DecodeStats
from nervplay.video.spec import VideoSpec

__all__ = ["SLOT_NAMES", "Alignment", "Backend", "OpenRequest", "Slot"]

SLOT_NAMES = ("A", "B", "C", "D")


@dataclass(frozen=True)
class Alignment:
    """How a video has to be cut to be compared with a neural one.

    Args:
        spec: the clip that the neural video decodes to.
        record: what its file says of its source; may be empty.
    """

    spec: VideoSpec
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OpenRequest:
    """All that opening a source needs.

    Args:
        ref: what to open.
        like: how a video is to be cut.
        precision: arithmetic of a network; empty for FP32.
        device: "auto", "cpu", "cuda", ...
        reference: the video that a checkpoint or a re-encode is made from.
        target_bytes: size that a re-encode should have.
    """

    ref: SourceRef
    like: Alignment | None = None
    precision: str = ""
    device: str = "auto"
    reference: SourceRef | None = None
    target_bytes: int | None = None


class _Kept(NamedTuple):
    """What is shown of a slot while another source is being opened in it."""

    ref: SourceRef | None
    offset: int
    like: Alignment | None


class Slot:
    """One source and its decoded pictures.

    Args:
        name: "A" to "D".
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.ref: SourceRef | None = None
        self.facts: MediaFacts | None = None
        self.record: Mapping[str, Any] = {}
        self.like: Alignment | None = None
        self.offset = 0
        self.precision = ""
        self.device = ""
        self.opening = False
        self._kept: _Kept | None = None
        self.pending_precision = ""
        self.preparing = ("", 0.0)
        """A precision that is made ready, and how far that is, 0 .. 1; no name where there is none."""
        self.cache = PictureCache()
        self.stats = DecodeStats()
        self.working: Key | None = None
        self.stages: tuple[tuple[str, float], ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether there are frames to ask for."""
        return self.facts is not None

    @property
    def source(self) -> SourceRef | None:
        """What the pictures are of: while another source is being opened (`ref`), the one that is there still."""
        return self._kept.ref if self._kept is not None else self.ref

    def begin(self, ref: SourceRef, offset: int) -> None:
        """Take what is to be opened; what is there stays until `end`.

        Args:
            ref: what is asked for.
            offset: frames by which it is shifted.
        """
        if self.is_open and self._kept is None:
            self._kept = _Kept(self.ref, self.offset, self.like)
        self.ref, self.offset, self.opening = ref, offset, True

    def end(self, *, failed: bool) -> None:
        """Opening has ended; where it failed, what was there before is what the slot holds.

        Args:
            failed: whether it could not be opened.
        """
        kept, self._kept, self.opening = self._kept, None, False
        if not failed:
            return
        if kept is not None:
            self.ref, self.offset, self.like = kept
        elif self.facts is None:
            self.ref = None
        if self.facts is not None:
            self.precision = self.facts.precision

    def covers(self, frame: int) -> bool:
        """Return whether the source has a frame of its own here; before its first and behind its last one, that stays.

        Args:
            frame: frame of the timeline.
        """
        return self.facts is not None and 0 <= frame + self.offset < self.facts.spec.frame_count

    def key(self, frame: int, between: Fraction = Fraction(0)) -> Key:
        """Return what to decode for a frame of the timeline.

        Args:
            frame: frame of the timeline.
            between: how far towards the next frame, 0 .. 1; taken where the source has pictures there.
        """
        assert self.facts is not None
        last = self.facts.spec.frame_count - 1
        local = min(last, max(0, frame + self.offset))
        if between and self.facts.continuous_time and local < last:
            return local + between
        return local

    def empty(self) -> None:
        """Forget the source and its pictures."""
        self.ref, self.facts, self.like, self.record = None, None, None, {}
        self.offset, self.precision, self.device, self.pending_precision = 0, "", "", ""
        self.opening, self._kept, self.stages, self.preparing = False, None, (), ("", 0.0)
        self.cache.clear()
        self.stats.clear()


class Backend(Protocol):
    """What does the work, in threads of its own; every call returns at once. Answers come through the player's methods.

    `app.workers.engine.Engine` is the real one.
    """

    def open(self, slot: Slot, request: OpenRequest) -> None:
        """Open a source; ends in `Player.opened` or `Player.failed`."""
        ...

    def close(self, slot: Slot) -> None:
        """Close what a slot has."""
        ...

    def set_precision(self, slot: Slot, precision: str, device: str) -> None:
        """Switch arithmetic or device; ends in `Player.switched` or `Player.failed`. What takes long is told to
        `Player.prepared`, and frames go on being decoded as before.
        """
        ...

    def time_stages(self, slot: Slot) -> None:
        """Measure the stages of a network; ends in `Player.staged`."""
        ...

    def want(self, slot: Slot, keys: Sequence[Key]) -> None:
        """Decode these, first to last; replaces what was wanted before."""
        ...

    def measure(self, frame: int, a: Picture, b: Picture, names: Sequence[str], ticket: tuple[object, ...]) -> bool:
        """Measure a pair; ends in `Player.measured`. False where the last one is not done yet."""
        ...
