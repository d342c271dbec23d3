"""Where exported frames go: a container with video and sound, or a sequence of pictures."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
from av import VideoFrame
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from ffmpeg_bridge.audio import audio_packets
from ffmpeg_bridge.encoder import add_video_stream
from ffmpeg_bridge.encoder_choice import EncoderChoice
from ffmpeg_bridge.frames import check_geometry
from ffmpeg_bridge.matroska_shape import write_sample_aspect
from ffmpeg_bridge.sound import SoundCopier
from ffmpeg_bridge.targets import Target
from nervplay.bitstream.atomic import clear_leftovers, folder_beside, replacing
from nervplay.bitstream.layout import Audio
from nervplay.choices import PIXEL_FORMATS
from nervplay.errors import NervplayError, OutputError, OutputExistsError, UsageError
from nervplay.video.spec import VideoSpec

__all__ = ["ExportSink", "container_sink", "picture_sink"]


class ExportSink(Protocol):
    """Takes the frames of an export in order."""

    frame_count: int
    end: Fraction
    """Seconds at which the last frame so far ends."""

    def write(self, picture: VideoFrame) -> None:
        """Encode a frame that has time stamp, duration and time base."""
        ...

    def finish(self) -> None:
        """Write what encoders still hold."""
        ...


class _ContainerSink:
    """Video and sound in one file; `prepare` opens the streams, at the latest when the first frame is there."""

    def __init__(self, output: OutputContainer, choice: EncoderChoice, spec: VideoSpec, audio: Audio | None) -> None:
        self.frame_count, self.end = 0, Fraction(0)
        self._output, self._choice, self._spec, self._audio = output, choice, spec, audio
        self._video: VideoStream | None = None
        self._sound: SoundCopier | None = None
        self._stack = ExitStack()

    def prepare(self, spec: VideoSpec, tick: Fraction) -> VideoStream:
        """Add the streams: video of `spec` with time stamps in `tick` seconds, and the sound."""
        options, name = self._choice.options, self._choice.encoder
        self._video = add_video_stream(self._output, name, spec, self._choice.pix_fmt, options, tick=tick)
        if self._audio is not None:
            self._sound = SoundCopier(self._output, *self._stack.enter_context(audio_packets(self._audio)))
        return self._video

    def write(self, picture: VideoFrame) -> None:
        tick, length = picture.time_base, picture.duration
        assert picture.pts is not None
        assert tick is not None
        video = self._video
        if video is None:  # a filter decided on size and rate: they are known now
            rate = 1 / (length * tick) if length else self._spec.rate
            spec = replace(self._spec, width=picture.width, height=picture.height, rate=rate)
            if self._choice.pix_fmt in PIXEL_FORMATS:
                check_geometry(spec, self._choice.pix_fmt)
            video = self.prepare(spec, tick)
        self._output.mux(video.encode(picture))
        self.frame_count += 1
        time = picture.pts * tick
        self.end = time + (length * tick if length else 1 / self._spec.rate)
        if self._sound is not None:
            self._sound.write_until(time)

    def finish(self) -> None:
        if self._video is None:
            raise UsageError("the filter graph lets no frame through; nothing was written")
        self._output.mux(self._video.encode(None))
        if self._sound is not None:
            self._sound.write_until(None)

    def close(self) -> None:
        self._stack.close()


@contextmanager
def container_sink(
    target: Target,
    out: Path,
    choice: EncoderChoice,
    spec: VideoSpec,
    *,
    audio: Audio | None,
    known_size: bool,
    overwrite: bool,
) -> Iterator[ExportSink]:
    """Open a file for video and sound; it is there whole after the block, or not at all.

    Args:
        target: the kind of file.
        out: its name.
        choice: the encoder.
        spec: the frames before any filter.
        audio: sound to copy; None for none.
        known_size: whether frames come as `spec` says; a filter may change them.
        overwrite: whether an existing file may be replaced.

    Raises:
        UsageError: something that the container cannot hold.
        OutputExistsError, OutputError: it cannot be written.
    """
    clear_leftovers(out)
    with replacing(out, overwrite=overwrite) as part:
        with _writing(part, target, out) as output:
            sink = _ContainerSink(output, choice, spec, audio)
            try:
                if known_size:
                    sink.prepare(spec, 1 / spec.rate)
                yield sink
            finally:
                sink.close()
        if spec.sample_aspect != 1 and target.container in ("matroska", "webm"):
            write_sample_aspect(part, spec.sample_aspect)


@contextmanager
def _writing(part: Path, target: Target, out: Path) -> Iterator[OutputContainer]:
    """Open the output; close it whatever happens, and say what the system said when it refuses to write."""
    try:
        output = av.open(f"file:{part}", "w", format=target.container, container_options=target.options)
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


class _PictureSink:
    """Numbered PNG files; they lie in a hidden folder beside their places until all are written."""

    def __init__(self, folder: Path, spec: VideoSpec) -> None:
        self.frame_count, self.end = 0, Fraction(0)
        self._folder, self._spec = folder, spec
        self._encoder: VideoCodecContext | None = None

    def write(self, picture: VideoFrame) -> None:
        if self._encoder is None:
            encoder = av.CodecContext.create("png", "w")
            assert isinstance(encoder, VideoCodecContext)
            encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, "rgb24"
            encoder.time_base = picture.time_base or 1 / self._spec.rate
            encoder.thread_count = 1  # one picture in, one out
            self._encoder = encoder
        for packet in self._encoder.encode(picture):
            with (self._folder / str(self.frame_count)).open("wb") as file:
                file.write(bytes(packet))
                file.flush()
                os.fsync(file.fileno())
            self.frame_count += 1
        self.end = self.frame_count / self._spec.rate

    def finish(self) -> None:
        if not self.frame_count:
            raise UsageError("the filter graph lets no frame through; nothing was written")


@contextmanager
def picture_sink(out: Path, spec: VideoSpec, *, overwrite: bool) -> Iterator[ExportSink]:
    """Write pictures numbered from 0; all of them are in their places after the block, or none.

    Args:
        out: a name that holds the place of the number, as FFmpeg writes it: "frame_%05d.png".
        spec: the clip.
        overwrite: whether existing pictures may be replaced.

    Raises:
        UsageError: no place for the number.
        OutputExistsError: one of the pictures exists and `overwrite` is off.
        OutputError: the folder is missing or cannot be written to, or the disk is full.
    """
    match = re.fullmatch(r"([^%]*)%(?:0([0-9]{1,2}))?d([^%]*)", out.name)
    if match is None:
        raise UsageError(f"{out} is one picture; give the place of the frame's number: frame_%05d.png")
    before, digits, after = match[1], int(match[2] or 0), match[3]

    def place(number: int) -> Path:
        return out.parent / f"{before}{number:0{digits}}{after}"

    _check_pictures(map(place, range(spec.frame_count)), overwrite=overwrite)
    clear_leftovers(out)
    try:
        with folder_beside(out) as folder:
            sink = _PictureSink(folder, spec)
            yield sink
            _check_pictures(map(place, range(sink.frame_count)), overwrite=overwrite)
            for number in range(sink.frame_count):
                (folder / str(number)).replace(place(number))
    except OSError as error:
        if isinstance(error, NervplayError):  # of the clip that is read, or one of ours
            raise
        raise OutputError(f"{out} was not written: {error.strerror}; choose another folder or make room") from None


def _check_pictures(places: Iterator[Path], *, overwrite: bool) -> None:
    """Raise when a picture is there and may not be replaced."""
    taken = None if overwrite else next((place for place in places if place.exists()), None)
    if taken is not None:
        raise OutputExistsError(f"{taken} exists; pass --overwrite to replace it, or choose another name")
