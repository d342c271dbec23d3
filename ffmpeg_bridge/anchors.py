"""The same frames through a real video encoder at the same number of bytes: what a neural video is held against.

    with AnchorEncoder(source, cancel=event, progress=show) as encoder:
        anchor = encoder.at_size("x265", 371_368)
        open_source(anchor.path)

An anchor's size is what the encoder made, headers included, without the container: that favours the anchor. Frames are
8-bit 4:2:0, one quality setting (CRF) for the whole clip, found by `ffmpeg_bridge.anchor_search`. Results are kept in
the user's cache by the content of the frames.
"""

import hashlib
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import av

from ffmpeg_bridge.anchor_cache import AnchorCache
from ffmpeg_bridge.anchor_search import SettingScale, find_setting
from ffmpeg_bridge.encoder import add_video_stream, check_encoder
from ffmpeg_bridge.spool import SpooledFrames
from nervplay.bitstream.atomic import replacing
from nervplay.errors import Interrupted, OutputError, UnknownNameError, UsageError
from nervplay.video.source import FrameSource

__all__ = ["ANCHORS", "Anchor", "AnchorEncoder", "AnchorProgress", "encode_anchor"]

AnchorProgress = Callable[[str, int, int], None]
"""Told (what is done, frames done, frames in all); a search starts again at 0 with every try."""


@dataclass(frozen=True, kw_only=True)
class _Codec:
    """An encoder as an anchor: FFmpeg's name, the preset when none is named, the option that carries the CRF."""

    encoder: str
    preset: str
    scale: SettingScale
    crf_option: str = "crf"


ANCHORS: dict[str, _Codec] = {
    "x264": _Codec(
        encoder="libx264", preset="slow", scale=SettingScale(low=1, high=51, step=0.05, first=26, halving=6)
    ),
    "x265": _Codec(
        encoder="libx265", preset="slow", scale=SettingScale(low=0, high=51, step=0.05, first=28, halving=5.5)
    ),
    "svtav1": _Codec(
        encoder="libsvtav1",
        preset="4",
        scale=SettingScale(low=1, high=63, step=0.25, first=35, halving=9),
        crf_option="svtav1-params",  # FFmpeg's own option takes whole numbers only, 6 % of the size apart
    ),
}
"""Encoders to compare with, by the names of the command line."""


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """One encode of a clip.

    Args:
        path: an MP4 file without sound; in the cache, so copy what is to stay.
        codec: a key of `ANCHORS`.
        preset: the encoder's preset.
        crf: the quality setting that was found.
        size: bytes that the encoder made, headers included, container not.
        target: bytes that were asked for.
        cached: whether an earlier run made it.
    """

    path: Path
    codec: str
    preset: str
    crf: float
    size: int
    target: int
    cached: bool

    @property
    def deviation(self) -> float:
        """How far the size is from the target, relative to it; 0.01 is one per cent too large."""
        return self.size / self.target - 1


class AnchorEncoder:
    """Encodes one clip with any of `ANCHORS` to any size; reads the clip once. A context manager; one thread at a time.

    Args:
        source: the clip; not closed.
        cache: where results are kept; None for the user's own.
        progress: see `AnchorProgress`.
        cancel: set by another thread to stop the work within a frame.

    Raises:
        GeometryError: odd sides.
        OutputError: no room for frames or cache.
        Interrupted: cancelled.
    """

    def __init__(
        self,
        source: FrameSource,
        *,
        cache: AnchorCache | None = None,
        progress: AnchorProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        self._cache = cache or AnchorCache()
        self._progress: AnchorProgress = progress or (lambda _what, _done, _all: None)
        self._cancel = cancel or threading.Event()
        self._sizes: dict[tuple[str, str], dict[float, int]] = {}
        self._spool = SpooledFrames(
            source, progress=lambda done, total: self._progress("reading frames", done, total), cancel=self._cancel
        )

    def at_size(self, codec: str, target: int, *, preset: str | None = None, tolerance: float = 0.02) -> Anchor:
        """Return an encode of about `target` bytes; `Anchor.deviation` says how near it came.

        Args:
            codec: a key of `ANCHORS`.
            target: bytes, at least 1.
            preset: the encoder's preset; None for a slow, good one.
            tolerance: relative distance that is near enough. Small clips, and sizes beyond what the encoder can do, may
                end farther away.

        Raises:
            UnknownNameError: another codec or preset.
            UsageError: a target that is not positive, a preset that the encoder does not take.
            CapabilityError: the encoder is not here.
            OutputError: no room.
            Interrupted: cancelled.
        """
        if codec not in ANCHORS:
            raise UnknownNameError("anchor", codec, ANCHORS)
        if target < 1:
            raise UsageError(f"an anchor of {target} bytes cannot be made; give at least 1")
        preset = preset or ANCHORS[codec].preset
        key = self._key(codec, preset, target, tolerance)
        kept = self._cache.find(key)
        if kept is None or not {"crf", "size"} <= kept.keys():
            kept = self._search(codec, preset, target, tolerance, key)
            cached = False
        else:
            self._sizes.setdefault((codec, preset), {}).setdefault(kept["crf"], kept["size"])
            cached = True
        path = self._cache.video(key)
        crf, size = float(kept["crf"]), int(kept["size"])
        return Anchor(path=path, codec=codec, preset=preset, crf=crf, size=size, target=target, cached=cached)

    def _key(self, *setting: object) -> str:
        """Return the name in the cache: frames, setting and the libraries that encode."""
        words = (self._spool.digest, *map(str, setting), av.__version__)
        return hashlib.sha256("\n".join(words).encode()).hexdigest()[:40]

    def _search(self, codec: str, preset: str, target: int, tolerance: float, key: str) -> dict[str, float]:
        """Encode until the size is right; leave video and record in the cache; return the record."""
        chosen = ANCHORS[codec]
        sizes = self._sizes.setdefault((codec, preset), {})
        options = check_encoder(chosen.encoder, self._spool.spec, "yuv420p", None, preset)
        with tempfile.TemporaryDirectory() as folder:

            def encode(crf: float) -> int:
                given = options | {chosen.crf_option: f"crf={crf}" if chosen.crf_option != "crf" else str(crf)}
                return self._encode(Path(folder) / f"{crf}.mp4", codec, crf, given)

            crf = find_setting(encode, target, chosen.scale, known=sizes, tolerance=tolerance)
            with replacing(self._cache.video(key), overwrite=True) as part:
                shutil.copyfile(Path(folder) / f"{crf}.mp4", part)
        record = {"crf": crf, "size": sizes[crf]}
        self._cache.add(key, record)
        return record

    def _encode(self, path: Path, codec: str, crf: float, options: dict[str, str]) -> int:
        """Write the clip to `path`; return the bytes that the encoder made."""
        spec, total = self._spool.spec, self._spool.spec.frame_count
        what, size = f"{codec} at CRF {crf:g}", 0
        try:
            with av.open(f"file:{path}", "w", format="mp4", container_options={"movflags": "+faststart"}) as output:
                stream = add_video_stream(output, ANCHORS[codec].encoder, spec, "yuv420p", options)
                for index, frame in enumerate(self._spool.frames()):
                    if self._cancel.is_set():
                        raise Interrupted(f"{what} was stopped after {index} of {total} frames")
                    packets = stream.encode(frame)
                    size += sum(packet.size for packet in packets)
                    output.mux(packets)
                    self._progress(what, index + 1, total)
                packets = stream.encode(None)
                output.mux(packets)
                return size + sum(packet.size for packet in packets) + len(stream.codec_context.extradata or b"")
        except av.FFmpegError as error:
            raise OutputError(
                f"{what} cannot be written ({error.strerror}); make room in the temporary folder, or set TMPDIR"
            ) from error

    def close(self) -> None:
        """Let the frames go; idempotent. Anchors stay in the cache."""
        self._spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


def encode_anchor(
    source: FrameSource,
    codec: str,
    target: int,
    *,
    preset: str | None = None,
    cache: AnchorCache | None = None,
    progress: AnchorProgress | None = None,
    cancel: threading.Event | None = None,
) -> Anchor:
    """Return one anchor of a clip; arguments and errors as in `AnchorEncoder` and its `at_size`."""
    with AnchorEncoder(source, cache=cache, progress=progress, cancel=cancel) as encoder:
        return encoder.at_size(codec, target, preset=preset)
