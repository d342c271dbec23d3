"""Scene cuts of a clip, found by libavfilter's scene change detector (`scdet`)."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np

from nervplay.errors import CapabilityError
from nervplay.video.source import FrameSource

__all__ = ["THRESHOLD", "scene_cuts"]

THRESHOLD = 10.0
"""Score in per cent of full scale from which a change is a cut; libavfilter's own default."""
_SIDE = 256
"""Frames are thinned out to about this many columns: a cut is seen in every pixel."""


def scene_cuts(
    source: FrameSource, *, threshold: float = THRESHOLD, progress: Callable[[int], None] | None = None
) -> dict[int, float]:
    """Return the scene cuts of a clip: score by index of the first frame behind each.

    The score of frame i is min(d, |d - d'|): d is the mean absolute difference of brightness to the frame before, in
    per cent, and d' that of the frame before (libavfilter/vf_scdet.c). So steady motion is no cut.

    Args:
        source: the clip; read once from front to back.
        threshold: smallest score of a cut, in per cent.
        progress: told the number of frames looked at.

    Raises:
        CapabilityError: this FFmpeg has no `scdet`.
    """
    if "scdet" not in av.filter.filters_available:
        raise CapabilityError("this FFmpeg has no filter scdet, which finds scene cuts; give a number of segments")
    step = max(1, source.spec.width // _SIDE)
    width, height = len(range(0, source.spec.width, step)), len(range(0, source.spec.height, step))
    graph = av.filter.Graph()
    pixels = av.VideoFormat("rgb24", width, height)
    buffer = graph.add_buffer(width=width, height=height, format=pixels, time_base=Fraction(1, 25))
    filters = (("format", "pix_fmts=gray"), ("scdet", f"threshold={threshold}"), ("buffersink", None))
    chain = [graph.add(name, settings) for name, settings in filters]
    for before, after in pairwise([buffer, *chain]):
        before.link_to(after)
    graph.configure()
    cuts = {}
    for index, picture in enumerate(source.frames()):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[::step, ::step]), format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, 25)
        buffer.push(frame)
        facts = chain[-1].pull().metadata
        if "lavfi.scd.time" in facts:
            cuts[index] = float(facts["lavfi.scd.score"])
        if progress is not None:
            progress(index + 1)
    return cuts
