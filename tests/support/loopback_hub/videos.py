"""Neural videos to publish and to pull; their weights are noise."""

from fractions import Fraction
from typing import Any

import numpy as np

from nervplay.bitstream import NervFile, QuantisedTensor, Segment, encode_nerv
from nervplay.video import VideoSpec

__all__ = ["make_nerv"]


def make_nerv(*, weights: int = 600_000, frames: int = 6, seed: int = 1, **changes: Any) -> bytes:
    """A video whose weights do not compress, so that its file has about `weights` bytes."""
    codes = np.random.default_rng(seed).integers(0, 256, (weights,), dtype=np.uint8)
    tensor = QuantisedTensor(codes=codes, bits=8, minimum=np.float32(0), scale=np.float32(1))
    fields: dict[str, Any] = {
        "video": VideoSpec(width=64, height=36, frame_count=frames, rate=Fraction(25)),
        "architecture": "hnerv",
        "config_version": 1,
        "config": {"width": 64},
        "segments": (Segment(first_frame=0, frame_count=frames, tensors={"stem.weight": tensor}),),
        "source": {"name": "bunny.mp4"},
        "recipe": {"preset": "tiny", "training": {"epochs": 3}},
    }
    return encode_nerv(NervFile(**fields | changes))
