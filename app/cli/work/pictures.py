"""The still and the short ordinary video that a page on the Hub shows, both from decoded frames."""

import io
import math
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from ffmpeg_bridge.export import export_video
from models_hub.layout import MAX_POSTER_BYTES, MAX_PREVIEW_BYTES
from nervplay.errors import OutputError
from nervplay.video import Frame, FrameSource, FrameTransform

__all__ = ["make_poster", "make_preview"]

_POSTER_SIDE = 960
_PREVIEW_SIDE = 640
_PREVIEW_SECONDS = 10
_QUALITIES = (85, 70, 50, 30, 10)
_CRF = (24, 30, 36, 42, 51)


def make_poster(frame: Frame, limit: int = MAX_POSTER_BYTES) -> bytes:
    """Return a frame as WebP, at most 960 pixels wide and high.

    Args:
        frame: uint8 (H, W, 3) RGB.
        limit: most bytes; the quality goes down until it fits.

    Raises:
        OutputError: it fits at no quality.
    """
    picture = Image.fromarray(frame)
    picture.thumbnail((_POSTER_SIDE, _POSTER_SIDE), Image.Resampling.LANCZOS)
    for quality in _QUALITIES:
        written = io.BytesIO()
        picture.save(written, format="WEBP", quality=quality, method=6)
        if written.tell() <= limit:
            return written.getvalue()
    raise OutputError(
        f"no poster of at most {limit} bytes can be made of this frame; leave pictures out: --no-pictures"
    )


def make_preview(
    source: FrameSource, limit: int = MAX_PREVIEW_BYTES, progress: Callable[[int, int], None] | None = None
) -> bytes:
    """Return the first ten seconds of a clip as a silent H.264 MP4, at most 640 pixels wide and high.

    Args:
        source: the clip; it stays open.
        limit: most bytes; the quality goes down until it fits.
        progress: told (frames done, frames in all) after every frame.

    Raises:
        OutputError: it fits at no quality.
    """
    spec = source.spec
    frames = min(spec.frame_count, max(1, math.ceil(_PREVIEW_SECONDS * spec.rate)))
    ratio = min(1.0, _PREVIEW_SIDE / max(spec.width, spec.height))
    width, height = (max(2, 2 * round(side * ratio / 2)) for side in (spec.width, spec.height))
    scale = None if (width, height) == (spec.width, spec.height) else (width, height)
    shown = FrameTransform(scale=scale, frames=(0, frames)).apply(source)
    with tempfile.TemporaryDirectory(prefix="nervplay-") as folder:
        target = Path(folder) / "preview.mp4"
        for crf in _CRF:
            report = export_video(shown, target, crf=crf, overwrite=True, progress=progress)
            if report.size <= limit:
                return target.read_bytes()
    raise OutputError(f"no preview of at most {limit} bytes can be made of this clip; leave it out: --no-pictures")
