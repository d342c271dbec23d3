"""A reference encode as large as a neural video: x264, x265 or AV1 at the same bytes, found by its quality setting.

Encodes are kept under $XDG_CACHE_HOME/nervplay/anchors by the hash of what went in: a second look costs nothing.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ffmpeg_bridge.export import export_video
from nervplay.bitstream.atomic import replacing
from nervplay.errors import CapabilityError, Interrupted, OutputError
from nervplay.video import BaseSource, Frame, FrameSource

__all__ = ["anchor_folder", "encode_at_size"]

_WORST = {"libx264": 51, "libx265": 51, "libsvtav1": 63}


def anchor_folder() -> Path:
    """Return where encodes are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "nervplay" / "anchors"


class _Stoppable(BaseSource):
    """A clip that ends early once it is cancelled; does not own the clip below."""

    def __init__(self, source: FrameSource, cancelled: threading.Event) -> None:
        super().__init__(source.spec)
        self._source, self._cancelled = source, cancelled

    def frames(self, indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """Yield frames until the end or the stop, each uint8 (H, W, 3)."""
        for frame in self._source.frames(indices):
            if self._cancelled.is_set():
                return
            yield frame

    def _read(self, index: int) -> Frame:
        return self._source.frame(index)


def _fingerprint(source: FrameSource, encoder: str, target_bytes: int) -> str:
    """Return a name for an encode: hash of the clip's description, of three of its frames, encoder and size."""
    digest = hashlib.sha256(f"{source.spec} {encoder} {target_bytes}".encode())
    last = len(source) - 1
    for index in (0, last // 2, last):
        digest.update(source.frame(index).tobytes())
    return digest.hexdigest()[:32]


def encode_at_size(
    source: FrameSource,
    encoder: str,
    target_bytes: int,
    cancelled: threading.Event,
    progress: Callable[[str], None],
) -> Path:
    """Return an encode of a clip with at most `target_bytes`, as near to them as whole quality steps allow.

    Args:
        source: the clip.
        encoder: "libx264", "libx265" or "libsvtav1".
        target_bytes: size of the file to be matched.
        cancelled: set from another thread to stop.
        progress: told in words how far it is.

    Raises:
        CapabilityError: the encoder is not here, or even its worst quality is larger.
        Interrupted: cancelled.
        OutputError: the cache cannot be written to.
    """
    folder = anchor_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the cache folder {folder} cannot be made: {error.strerror}") from None
    kept = folder / f"{_fingerprint(source, encoder, target_bytes)}.mp4"
    if kept.exists():
        return kept
    clip = _Stoppable(source, cancelled)
    low, high = 0, _WORST[encoder]  # low is too large, high may be
    found = False
    with replacing(kept, overwrite=True) as best:
        attempt = best.with_name(f"{best.stem}-try.mp4")
        try:
            while low < high or not found:
                crf = high if low >= high else (low + high) // 2
                progress(f"{encoder}: trying quality {crf} for {target_bytes:,} bytes")
                if cancelled.is_set():
                    raise Interrupted(f"encoding with {encoder} was stopped")
                size = export_video(
                    clip, attempt, encoder=encoder, crf=crf, pix_fmt=_pix_fmt(clip), overwrite=True
                ).size
                if size <= target_bytes:
                    attempt.replace(best)
                    found, high = True, crf
                elif crf == _WORST[encoder]:
                    raise CapabilityError(f"{encoder} needs {size:,} bytes at its worst; B has {target_bytes:,}")
                else:
                    low = crf + 1
        finally:
            attempt.unlink(missing_ok=True)
    return kept


def _pix_fmt(source: FrameSource) -> str:
    """Return the usual pixel format, or the one that odd sides need."""
    return "yuv444p" if source.spec.width % 2 or source.spec.height % 2 else "yuv420p"
