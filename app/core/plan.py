"""What to decode next while playing in real time, for all sources together.

A picture is shown when all sources have it, so all decode the same frames: one plan, worked off by every source. Where
the slowest source needs longer than a frame lasts, frames are left out in advance, each as far ahead as it will take:
nothing is decoded that comes too late to be shown, and as many frames are shown as can be decoded. Only where no frame
could be in time, as in a loop of few frames, the last of them is decoded all the same.
"""

import math
from collections.abc import Callable, Sequence

__all__ = ["ascending_chunks", "next_frames"]


def next_frames(
    planned: Sequence[int],
    ahead: Sequence[int],
    *,
    ready: Callable[[int], bool],
    begun: Callable[[int], bool],
    step: float,
    limit: int,
    room: int,
) -> list[int]:
    """Return the plan, brought up to now.

    Args:
        planned: the plan before.
        ahead: frames as they are due, the one that is due now first.
        ready: whether all sources have a frame.
        begun: whether some source has it or works on it; such a frame is finished even when it is late.
        step: how many frames pass while the slowest source decodes one.
        limit: how many frames may be planned.
        room: how many may lie ahead, planned or ready; more than sources can keep would push each other out.
    """
    places = {frame: place for place, frame in enumerate(ahead)}
    kept = [frame for frame in planned if not ready(frame) and (frame in places or begun(frame))]
    kept.sort(key=lambda frame: places.get(frame, -1))
    last = places.get(kept[-1], -1) if kept else -1
    limit = min(limit, room - sum(map(ready, ahead[1:])))
    for place, frame in enumerate(ahead):
        if len(kept) >= limit:
            break
        in_time = place >= max(1, math.ceil((len(kept) + 1) * step))
        if place > last and in_time and not ready(frame):
            kept.append(frame)
            last = place
    if not kept and limit > 0:
        # a short loop, or the end of the clip: late, but it comes again, or is where playing ends
        kept = [frame for frame in ahead if not ready(frame)][-1:]
    return kept


def ascending_chunks(frames: Sequence[int], size: int) -> list[int]:
    """Return frames chunk by chunk in the order given, rising within a chunk: cheap for a video file played backward.

    Args:
        frames: falling.
        size: frames per chunk; chunks begin at multiples of it, so that the order stays as playing goes on.
    """
    return sorted(frames, key=lambda frame: (-(frame // size), frame))
