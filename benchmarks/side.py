"""What the benchmarks of fitting share: the clip, the head of a result file, and how it is written."""

from pathlib import Path

from app.bench.results import device_name, write_table
from ffmpeg_bridge import open_source
from nervplay.video import FrameSource, FrameTransform
from nervplay.video.selection import parse_size

__all__ = ["CLIP", "ROOT", "device_name", "open_clip", "write_table"]

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT / "samples" / "bigbuckbunny.mp4"


def open_clip(size: str, frames: int) -> FrameSource:
    """Return the first frames of the bundled clip, scaled.

    Args:
        size: "WxH".
        frames: how many.
    """
    return FrameTransform(scale=parse_size(size), frames=(0, frames)).apply(open_source(CLIP))
