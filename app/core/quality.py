"""Quality while you watch: which frames are measured next, and the values by pair of sources, precision and offset.

Frames on the screen are measured for PSNR as they come by; all else is done while playing rests, so that measuring
takes no time from playing. Values of a pair are kept when another is shown: flipping precision back brings them again.
"""

from collections.abc import Sequence

from app.core.slot import Slot
from app.core.tracks import MetricTrack, Track, worst_frames

__all__ = ["PLOTTED", "VMAF", "Quality"]

PLOTTED = "psnr"
"""The metric by which frames are worst, and that the timeline draws first."""

VMAF = "vmaf"
"""Filled for a whole clip at once, by `app.core.vmaf`."""

_WHILE_PLAYING = (PLOTTED,)


class Quality:
    """All values that were measured.

    Args:
        names: metrics of single frames, as `nervplay.metrics.METRICS` has them.
    """

    def __init__(self, names: Sequence[str] = ("psnr", "ms-ssim")) -> None:
        self.names = tuple(names)
        self.on = True
        self.busy = False
        self.vmaf_words = ""
        """How far VMAF is while it is measured; empty otherwise."""
        self._tracks: dict[tuple[object, ...], MetricTrack] = {}
        self._unavailable: set[tuple[tuple[object, ...], str]] = set()
        self._worst_place = -1

    @staticmethod
    def ticket(a: Slot, b: Slot) -> tuple[object, ...]:
        """Return what the values of a pair hang on; unhashable parts are written out."""
        facts = b.facts
        assert facts is not None
        precisions = (a.facts.precision if a.facts else "", facts.precision)
        stamps = (a.facts.stamp if a.facts else 0, facts.stamp)
        size = facts.spec.width, facts.spec.height, facts.spec.frame_count
        return str(a.source), str(b.source), precisions, b.offset - a.offset, size, stamps

    def track(self, a: Slot, b: Slot, frame_count: int) -> MetricTrack:
        """Return the values of a pair, made when they are asked for the first time."""
        ticket = self.ticket(a, b)
        if ticket not in self._tracks or self._tracks[ticket].frame_count != frame_count:
            self._tracks[ticket] = MetricTrack(frame_count, (*self.names, VMAF))
        return self._tracks[ticket]

    def others(self, a: Slot, b: Slot) -> list[tuple[str, Track]]:
        """Return the PSNR of the same pair at other precisions, by precision, for thinner lines on the timeline."""
        own = self.ticket(a, b)
        found = []
        for ticket, track in self._tracks.items():
            same = ticket[:2] == own[:2] and ticket[3:] == own[3:]
            if same and ticket[2] != own[2] and track.tracks[PLOTTED].known:
                found.append((str(ticket[2][1]), track.tracks[PLOTTED]))  # type: ignore[index]  # a pair of names
        return found

    def wanted(self, ticket: tuple[object, ...], *, playing: bool) -> tuple[str, ...]:
        """Return the metrics to measure now."""
        names = _WHILE_PLAYING if playing else self.names
        return tuple(name for name in names if (ticket, name) not in self._unavailable)

    def has_none(self, ticket: tuple[object, ...], name: str) -> bool:
        """Return whether pictures of this size were found to have no value of a metric."""
        return (ticket, name) in self._unavailable

    def store(self, ticket: tuple[object, ...], frame: int, values: dict[str, float | None]) -> None:
        """Keep what was measured; a metric that these frames do not have is not asked for again."""
        track = self._tracks.get(ticket)
        if track is not None:
            track.set(frame, {name: value for name, value in values.items() if value is not None})
        self._unavailable |= {(ticket, name) for name, value in values.items() if value is None}

    def next_worst(self, track: Track, steps: int) -> int | None:
        """Return the next (1) or previous (-1) of the worst frames; 0 begins with the worst of all."""
        frames = worst_frames(track)
        if not frames:
            return None
        self._worst_place = 0 if steps == 0 else self._worst_place + steps
        return frames[self._worst_place % len(frames)]
