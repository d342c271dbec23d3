"""What to decode next, for one source of several that are shown together.

A picture is shown when all sources have it, so all must choose the same frames. Whoever is slower leads: frames that
another source has or works on come first, then new ones, as far ahead as the slowest needs to be in time.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

__all__ = ["ascending_chunks", "frames_to_skip", "in_step"]


def frames_to_skip(latencies: Iterable[float], rate: Fraction) -> int:
    """Return how many coming frames cannot be decoded in time.

    Args:
        latencies: seconds per frame of every source.
        rate: frames per second as they pass, either sign.
    """
    return max(1, math.ceil(max(latencies, default=0.0) * abs(float(rate))))


def in_step(frames: Sequence[int], lead: int, taken: Callable[[int], bool]) -> list[int]:
    """Return frames in the order in which one source should decode them.

    Args:
        frames: what will be shown, soonest first.
        lead: how many of them cannot be in time.
        taken: whether another source has a frame or works on it.
    """
    shared = [frame for frame in frames if taken(frame)]
    return [*shared, *(frame for frame in frames[lead:] if frame not in shared)]


def ascending_chunks(frames: Sequence[int], size: int) -> list[int]:
    """Return frames chunk by chunk in the order given, rising within a chunk: cheap for a video file played backward.

    Args:
        frames: falling.
        size: frames per chunk; chunks begin at multiples of it, so that the order stays as playing goes on.
    """
    return sorted(frames, key=lambda frame: (-(frame // size), frame))
