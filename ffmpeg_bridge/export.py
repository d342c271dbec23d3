"""Clips out: an ordinary video file, tagged, timed to the frame, with the original's sound."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer

from ffmpeg_bridge.ahead import frames_ahead
from ffmpeg_bridge.audio import audio_packets
from ffmpeg_bridge.encoder import add_video_stream, check_encoder
from ffmpeg_bridge.frames import FrameConverter, check_geometry
from ffmpeg_bridge.sound import SoundCopier
from nervplay.bitstream.atomic import replacing
from nervplay.bitstream.layout import Audio
from nervplay.errors import Interrupted, OutputError, UsageError
from nervplay.video.source import FrameSource

__all__ = ["EXPORT_SUFFIXES", "ExportReport", "export_video"]

EXPORT_SUFFIXES = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Endings of export files and FFmpeg's names of their containers."""


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What an export wrote.

    Args:
        path: the file.
        size: its bytes.
        frame_count: number of frames.
        duration: length of the video in seconds.
        encoder: FFmpeg's name of the video encoder.
        pix_fmt: pixel format.
        audio: codec of the sound that was copied; None without sound.
    """

    path: Path
    size: int
    frame_count: int
    duration: Fraction
    encoder: str
    pix_fmt: str
    audio: str | None


def export_video(
    source: FrameSource,
    out: Path,
    *,
    audio: Audio | None = None,
    encoder: str = "libx264",
    crf: float | None = None,
    preset: str | None = None,
    pix_fmt: str = "yuv420p",
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ExportReport:
    """Write a clip as MP4, MOV or Matroska; the file is there whole or not at all.

    Frame i is shown at i / rate seconds, to the tick in MP4 and MOV, to the millisecond in Matroska. Colour is
    converted and tagged by `source.spec.colour`. Frames are read in a thread of their own while the encoder works.

    Args:
        source: the clip; read from its first frame to its last.
        out: the file; its ending says the container, see `EXPORT_SUFFIXES`.
        audio: sound to copy beside it, packet by packet.
        encoder: FFmpeg's name of a video encoder.
        crf: quality in the encoder's own scale; None for 18 (libx264), 20 (libx265) or the encoder's default.
        preset: speed in the encoder's own words; None for its default.
        pix_fmt: one of `ffmpeg_bridge.frames.PIXEL_FORMATS`.
        overwrite: whether an existing file may be replaced.
        progress: called with (frames done, frames in all) after every frame.

    Raises:
        UsageError: another ending, or something that encoder or container do not take.
        GeometryError: odd sides with a pixel format that halves them.
        CapabilityError: the encoder is not here or does not open.
        OutputExistsError: the file exists and `overwrite` is off.
        OutputError: folder missing or read-only, disk full.
    """
    container = EXPORT_SUFFIXES.get(out.suffix.lower())
    if container is None:
        endings = ", ".join(EXPORT_SUFFIXES)
        raise UsageError(f"{out} ends in '{out.suffix}'; an export is written as one of {endings}")
    spec = source.spec
    check_geometry(spec, pix_fmt)
    converter = FrameConverter(spec.colour, pix_fmt)
    options = check_encoder(encoder, spec, pix_fmt, crf, preset)
    with replacing(out, overwrite=overwrite) as part, _writing(part, container, out) as output, ExitStack() as stack:
        video = add_video_stream(output, encoder, spec, pix_fmt, options)
        sound = SoundCopier(output, *stack.enter_context(audio_packets(audio))) if audio is not None else None
        tick, total, index = 1 / spec.rate, len(source), -1
        for index, frame in enumerate(stack.enter_context(frames_ahead(source))):
            picture = converter.convert(frame)
            picture.pts, picture.duration, picture.time_base = index, 1, tick
            output.mux(video.encode(picture))
            if sound is not None:
                sound.write_until(index * tick)
            if progress is not None:
                progress(index + 1, total)
        if index + 1 < total:
            raise Interrupted(f"decoding was stopped after {index + 1} of {total} frames; {out} was not written")
        output.mux(video.encode(None))
        if sound is not None:
            sound.write_until(None)
    return ExportReport(
        path=out,
        size=out.stat().st_size,
        frame_count=spec.frame_count,
        duration=spec.duration,
        encoder=encoder,
        pix_fmt=pix_fmt,
        audio=audio.codec if audio is not None else None,
    )


@contextmanager
def _writing(part: Path, container: str, out: Path) -> Iterator[OutputContainer]:
    """Open the output; close it whatever happens, and say what the system said when it refuses to write."""
    try:
        options = {"movflags": "+faststart"} if container != "matroska" else {}
        output = av.open(f"file:{part}", "w", format=container, container_options=options)
        try:
            yield output
        except BaseException:
            with suppress(av.FFmpegError):  # the trailer of a file that is thrown away
                output.close()
            raise
        output.close()
    except av.FFmpegError as error:
        if isinstance(error, OSError):  # `replacing` finds the words for what the system says about this file
            raise OSError(error.errno, error.strerror, str(part)) from error
        raise OutputError(f"{out} was not written: FFmpeg says '{error.strerror}'; try another --encoder") from error
