"""Sound that rides along: packets copied from a clip into a small media file, and from there into an export.

Nothing is recoded: packet data, order, time stamps (the negative ones of an encoder's priming too) and skip marks are
kept. A part of a clip is cut at packets: the first one may begin up to a packet before the first frame, with a negative
time stamp. MP4 holds all that to the sample; other codecs go into Matroska, which counts milliseconds.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import cast

import av
from av import Packet
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from nervplay.bitstream.layout import Audio
from nervplay.errors import BitstreamError, MissingInputError, VideoInputError

__all__ = ["audio_packets", "cut_audio", "extract_audio"]

_KEPT_IN_MP4 = {"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"} | {
    f"pcm_{sample}{order}" for sample in ("s16", "s24", "s32", "f32", "f64") for order in ("le", "be")
}
_CONTAINERS = ("mp4", "matroska")


def extract_audio(path: Path, start: Fraction = Fraction(0), duration: Fraction | None = None) -> Audio | None:
    """Return the sound of a clip, None where it has none.

    Args:
        path: the clip. A folder of pictures has no sound.
        start: seconds from the first frame of the video at which the part begins; becomes time 0.
        duration: seconds of the part; to the end when None.

    Raises:
        MissingInputError: no such file, or it cannot be opened.
        VideoInputError: a file that cannot be read.
    """
    if path.is_dir():
        return None
    if not path.exists():
        raise MissingInputError(f"{path} does not exist; give a media file")
    try:
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            stream = _sound(container)
            return _copied(container, stream, start, duration) if stream is not None else None
    except PermissionError as error:
        raise MissingInputError(f"{path} cannot be opened ({error.strerror}); check its rights") from error
    except av.FFmpegError as error:
        raise VideoInputError(
            f"the sound of {path} cannot be read ({error.strerror}); go on without it: --audio none"
        ) from error


def cut_audio(audio: Audio, start: Fraction, duration: Fraction) -> Audio | None:
    """Return the part of a sound that belongs to a part of its clip, cut at packets; None where nothing sounds there.

    Args:
        audio: the sound; time 0 is the clip's first frame.
        start: seconds; becomes time 0.
        duration: seconds.

    Raises:
        BitstreamError: no sound that can be read.
    """
    with audio_packets(audio) as (stream, _):
        assert isinstance(stream.container, InputContainer)
        return _copied(stream.container, stream, start, duration)


@contextmanager
def audio_packets(audio: Audio) -> Iterator[tuple[AudioStream, Iterator["Packet[AudioStream]"]]]:
    """Open `audio`; give its stream, as a template for the output's, and its packets in decoding order.

    Raises:
        BitstreamError: no sound that can be read.
    """
    if audio.container not in _CONTAINERS:
        known = " and ".join(_CONTAINERS)
        raise BitstreamError(f"sound in a container '{audio.container}'; this version reads {known}: update nervplay")
    try:
        container = av.open(BytesIO(audio.data), "r", format=audio.container, metadata_errors="replace")
    except av.FFmpegError as error:
        raise BitstreamError(f"the sound in the file is damaged ({error.strerror}); get the file again") from error
    with container:
        stream = _sound(container)
        if stream is None:
            raise BitstreamError("the sound in the file has no audio stream; get the file again")
        yield stream, (packet for _, _, packet in _timed(container, stream))


def _copied(container: InputContainer, stream: AudioStream, start: Fraction, duration: Fraction | None) -> Audio | None:
    """Return the packets of `stream` that sound in the part, in a file of their own."""
    codec = stream.codec_context.codec.canonical_name
    kind = "mp4" if codec in _KEPT_IN_MP4 else "matroska"
    tick = stream.time_base or Fraction(1, av.time_base)
    first = _video_start(container) + start
    end = None if duration is None else first + duration
    shift = round(first / tick)
    file, count = BytesIO(), 0
    with av.open(file, "w", format=kind, options={"fflags": "+bitexact"}) as output:
        copy = output.add_stream_from_template(stream)
        for pts, dts, packet in _timed(container, stream):
            lead = (packet.duration or 0) if kind == "mp4" else 1  # Matroska cannot begin before time 0
            before = start > 0 and (pts + lead) * tick <= first
            if before or (end is not None and pts * tick >= end):
                continue
            packet.pts, packet.dts = pts - shift, dts - shift
            packet.stream = copy
            output.mux(packet)
            count += 1
    return Audio(data=file.getvalue(), container=kind, codec=codec) if count else None


def _sound(container: InputContainer) -> AudioStream | None:
    """Return the audio stream that players would choose; None when there is none, or none of a known codec."""
    stream = container.streams.best("audio")
    known = isinstance(stream, AudioStream) and cast(AudioCodecContext | None, stream.codec_context) is not None
    return cast(AudioStream, stream) if known else None


def _timed(container: InputContainer, stream: AudioStream) -> Iterator[tuple[int, int, "Packet[AudioStream]"]]:
    """Yield (pts, dts, packet) of all packets that have a place in time; the empty one at the end has none."""
    for packet in container.demux(stream):
        if packet.size and packet.pts is not None and packet.dts is not None:
            yield packet.pts, packet.dts, packet


def _video_start(container: InputContainer) -> Fraction:
    """Return the time of the first frame in seconds; 0 where there is no video."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic and stream.time_base is not None:
            return (stream.start_time or 0) * stream.time_base
    return Fraction(0)
