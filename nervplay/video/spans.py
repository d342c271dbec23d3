"""Where a long clip is cut into time segments."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from nervplay.errors import UsageError

__all__ = ["Span", "even_spans", "scene_spans"]


@dataclass(frozen=True, kw_only=True)
class Span:
    """One time segment of a clip, and how far its network looks over the seams.

    Args:
        first: index of its first frame.
        count: number of its frames.
        lead: frames before its own that its network learns, too; where two networks know a frame they are blended.
        tail: frames behind its own, likewise.
    """

    first: int
    count: int
    lead: int = 0
    tail: int = 0

    @property
    def known(self) -> tuple[int, int]:
        """Half-open range of the frames that its network learns."""
        return self.first - self.lead, self.first + self.count + self.tail


def even_spans(frame_count: int, parts: int, *, overlap: int = 0) -> tuple[Span, ...]:
    """Return `parts` segments whose lengths differ by one frame at most.

    Args:
        frame_count: T.
        parts: number of segments.
        overlap: frames that a network learns beyond each seam.

    Raises:
        UsageError: more parts than frames, or fewer than one.
    """
    if not 1 <= parts <= frame_count:
        raise UsageError(f"{frame_count} frames cannot be cut into {parts} segments; take 1 to {frame_count}")
    starts = [frame_count * part // parts for part in range(parts)]
    return _spans(frame_count, starts, hard=frozenset(), overlap=overlap)


def scene_spans(
    frame_count: int, cuts: Mapping[int, float], *, longest: int, shortest: int = 1, overlap: int = 0
) -> tuple[Span, ...]:
    """Return segments that begin at scene cuts; long scenes are cut evenly, very short ones join a neighbour.

    Nothing is blended across a scene cut: the pictures on both sides have nothing in common.

    Args:
        frame_count: T.
        cuts: how strong the change is by index of the first frame behind a scene cut.
        longest: most frames of a segment.
        shortest: fewest; of cuts that lie closer the weaker is left out.
        overlap: frames that a network learns beyond a seam inside a scene.

    Raises:
        UsageError: limits that contradict each other.
    """
    if not 1 <= shortest <= longest:
        raise UsageError(f"segments of {shortest} to {longest} frames cannot be had; the longest must be the larger")
    hard = {cut for cut in cuts if 0 < cut < frame_count}
    while True:
        edges = [0, *sorted(hard), frame_count]
        close = [
            edge
            for before, edge, after in zip(edges, edges[1:], edges[2:], strict=False)
            if min(edge - before, after - edge) < shortest
        ]
        if not close:
            break
        hard.remove(min(close, key=lambda cut: (cuts[cut], cut)))
    starts = []
    for begin, end in pairwise(edges):
        pieces = -(-(end - begin) // longest)
        starts += [begin + (end - begin) * piece // pieces for piece in range(pieces)]
    return _spans(frame_count, starts, hard=frozenset(hard), overlap=overlap)


def _spans(frame_count: int, starts: Iterable[int], *, hard: frozenset[int], overlap: int) -> tuple[Span, ...]:
    """Return the segments that begin at `starts`; over a seam that is not hard, each side learns `overlap` frames.

    No network learns more than half of a neighbour, so that no frame is known to three.
    """
    edges = [*starts, frame_count]
    counts = [end - begin for begin, end in pairwise(edges)]

    def reach(seam: int) -> int:
        """How many frames both sides of the seam before segment `seam` learn of each other."""
        if seam in (0, len(counts)) or edges[seam] in hard:
            return 0
        return min(overlap, counts[seam - 1] // 2, counts[seam] // 2)

    return tuple(
        Span(first=first, count=count, lead=reach(number), tail=reach(number + 1))
        for number, (first, count) in enumerate(zip(edges, counts, strict=False))
    )
