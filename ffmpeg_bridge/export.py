"""Clips out: an ordinary video file, tagged, timed to the frame, with the original's sound."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from av import VideoFrame

from ffmpeg_bridge.behind import worked_behind
from ffmpeg_bridge.encoder_choice import EncoderChoice, choose_encoder
from ffmpeg_bridge.export_sink import ExportSink, container_sink, picture_sink
from ffmpeg_bridge.frame_filter import FrameFilter
from ffmpeg_bridge.planar import planar_frames, planar_source
from ffmpeg_bridge.rgb_frames import stored_colour
from ffmpeg_bridge.targets import Target, find_target
from nervplay.bitstream.layout import Audio
from nervplay.errors import Interrupted, UsageError
from nervplay.video.source import Frame, FrameSource
from nervplay.video.spec import Colour, VideoSpec

__all__ = ["ExportReport", "export_video"]

_GIF_FASTEST = 50
_GIF_COLOURS = "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1"


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What an export wrote.

    Args:
        path: the file, or the pattern of the pictures' names.
        size: bytes of the file, of all pictures together.
        frame_count: number of frames.
        duration: length of the video in seconds.
        encoder: FFmpeg's name of the video encoder.
        pix_fmt: pixel format.
        audio: codec of the sound that was copied; None without sound.
        word: what the user should hear of the choice of encoder; "" for nothing.
    """

    path: Path
    size: int
    frame_count: int
    duration: Fraction
    encoder: str
    pix_fmt: str
    audio: str | None
    word: str = ""


def export_video(
    source: FrameSource,
    out: Path,
    *,
    audio: Audio | None = None,
    encoder: str | None = None,
    crf: float | None = None,
    preset: str | None = None,
    pix_fmt: str | None = None,
    lossless: bool = False,
    filter_graph: str | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ExportReport:
    """Write a clip as a video file, a GIF or numbered PNG pictures; it is there whole or not at all.

    Frame i is shown at i / rate seconds: to the tick in MP4 and MOV, to the millisecond in Matroska and WebM, to the
    hundredth in GIF. Colour is converted and tagged by `source.spec.colour`; a `PlanarSource` fills the frames of the
    encoder itself. Frames are read in the caller's thread and encoded in another.

    Args:
        source: the clip; read from its first frame to its last.
        out: the file; its ending says the container, see `EXPORT_SUFFIXES`. Pictures: "frame_%05d.png".
        audio: sound to copy beside it, packet by packet; left out where the target holds none.
        encoder: FFmpeg's name of a video encoder, or "auto" for the best that opens; None for the usual one (H.264).
        crf: quality in the encoder's own scale; None for that of `EXPORT_CRF`, or its default.
        preset: speed in the encoder's own words; None for its default.
        pix_fmt: None for yuv420p, or what the encoder needs.
        lossless: the frames come back bit for bit, as RGB.
        filter_graph: a filter graph of FFmpeg for the converted frames; it may change size, rate and length. The sound
            and the shape of pixels stay as they are: PyAV has no name for the one that a graph gives.
        overwrite: whether an existing file may be replaced.
        progress: called with (frames read, frames in all) after every frame.

    Raises:
        UsageError: another ending, or something that encoder, filter or container do not take.
        GeometryError: odd sides with a pixel format that halves them.
        CapabilityError: the encoder is not here or does not open.
        OutputExistsError: the file exists and `overwrite` is off.
        OutputError: folder missing or read-only, disk full.
    """
    target, spec = find_target(out), source.spec
    choice = choose_encoder(target, spec, encoder=encoder, crf=crf, preset=preset, pix_fmt=pix_fmt, lossless=lossless)
    if target.container == "gif" and spec.rate > _GIF_FASTEST:
        raise UsageError(
            f"a GIF shows at most {_GIF_FASTEST} frames per second, this clip has {spec.rate}; add --fps 25"
        )
    stages = _stages(filter_graph, spec, choice)
    sound = audio if target.sound else None
    if target.container == "png":
        opened = picture_sink(out, spec, overwrite=overwrite)
    else:
        known = filter_graph is None
        opened = container_sink(target, out, choice, spec, audio=sound, known_size=known, overwrite=overwrite)
    with opened as sink:
        staged = _Staged(stages, sink)
        _encode(source, choice, staged, progress or (lambda _done, _all: None), out)
        staged.finish()
    return _report(target, out, choice, sink, sound)


def _encode(
    source: FrameSource, choice: EncoderChoice, sink: "_Staged", progress: Callable[[int, int], None], out: Path
) -> None:
    """Read all frames here, while a thread converts those that are RGB, time-stamps all by index and encodes them."""
    tick, decoder = 1 / source.spec.rate, planar_source(source, choice.fed_format)
    converter = choice.converter(source.spec)

    def write(numbered: tuple[int, Frame | VideoFrame]) -> None:
        index, frame = numbered
        picture = frame if isinstance(frame, VideoFrame) else converter.convert(frame)
        picture.pts, picture.duration, picture.time_base = index, 1, tick
        sink.write(picture)

    frames: Iterable[Frame | VideoFrame] = (
        source.frames() if decoder is None else planar_frames(decoder, choice.fed_format)
    )
    done = 0
    with worked_behind(write) as give:
        for frame in frames:
            give((done, frame))
            done += 1
            progress(done, len(source))
    if done < len(source):
        raise Interrupted(f"decoding was stopped after {done} of {len(source)} frames; {out} was not written")


class _Stage(Protocol):
    """Something that frames pass through."""

    def run(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        """Take a frame, None at the end; yield those that come out."""
        ...


class _GifColours:
    """Chooses 256 colours for each frame; made for the size of the first frame that comes."""

    def __init__(self, spec: VideoSpec) -> None:
        self._spec = spec
        self._filter: FrameFilter | None = None

    def run(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        if self._filter is None:
            if frame is None:
                return iter(())
            self._filter = FrameFilter(
                _GIF_COLOURS,
                size=(frame.width, frame.height),
                tick=frame.time_base or 1 / self._spec.rate,
                sample_aspect=self._spec.sample_aspect,
                pix_fmt="rgb24",
                colour=Colour(matrix="gbr", range="pc"),
                output="pal8",
            )
        return self._filter.run(frame)


def _stages(filter_graph: str | None, spec: VideoSpec, choice: EncoderChoice) -> list[_Stage]:
    """Return what frames pass through between conversion and encoder."""
    stages: list[_Stage] = []
    if filter_graph is not None:
        stages.append(
            FrameFilter(
                filter_graph,
                size=(spec.width, spec.height),
                tick=1 / spec.rate,
                sample_aspect=spec.sample_aspect,
                pix_fmt=choice.fed_format,
                colour=stored_colour(spec.colour, choice.fed_format),
            )
        )
    if choice.pix_fmt == "pal8":
        stages.append(_GifColours(spec))
    return stages


class _Staged:
    """A sink behind stages."""

    def __init__(self, stages: list[_Stage], sink: ExportSink) -> None:
        self._stages, self._sink = stages, sink

    def write(self, picture: VideoFrame, first: int = 0) -> None:
        """Send a frame through the stages from number `first` on, into the sink."""
        if first == len(self._stages):
            self._sink.write(picture)
            return
        for shown in self._stages[first].run(picture):
            self.write(shown, first + 1)

    def finish(self) -> None:
        """Write what stages and sink still hold."""
        for place, stage in enumerate(self._stages):
            for last in stage.run(None):
                self.write(last, place + 1)
        self._sink.finish()


def _report(target: Target, out: Path, choice: EncoderChoice, sink: ExportSink, sound: Audio | None) -> ExportReport:
    """Return what was written."""
    if target.container == "png":
        size = sum((out.parent / (out.name % number)).stat().st_size for number in range(sink.frame_count))
    else:
        size = out.stat().st_size
    return ExportReport(
        path=out,
        size=size,
        frame_count=sink.frame_count,
        duration=sink.end,
        encoder=choice.encoder,
        pix_fmt=choice.pix_fmt,
        audio=sound.codec if sound is not None else None,
        word=choice.word,
    )
