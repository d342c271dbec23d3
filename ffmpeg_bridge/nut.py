"""Frames as NUT, written by FFmpeg's own muxer: every pixel format, exact rate and sound, but no colour tags."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import cast

import av
import numpy as np
from av import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ffmpeg_bridge.audio import audio_packets
from ffmpeg_bridge.sink import Sink
from ffmpeg_bridge.sound import SoundCopier
from nervplay.bitstream.layout import Audio
from nervplay.video.spec import VideoSpec

__all__ = ["write_nut"]

_BUFFER_BYTES = 1 << 20


class _Writer:
    """What PyAV takes for a file that cannot be sought in; remembers why writing failed, which PyAV does not."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.failure: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write all of `data`."""
        try:
            if self.failure is None:
                self._sink.write([data])
        except OSError as error:
            self.failure = error
        return len(data)


def write_nut(
    sink: Sink, spec: VideoSpec, pix_fmt: str, pictures: Iterator[NDArray[np.uint8]], audio: Audio | None
) -> None:
    """Write raw pictures as NUT.

    Args:
        sink: where to.
        spec: the clip.
        pix_fmt: pixel format of the pictures.
        pictures: uint8 (bytes of a picture,) each; used up before the next one is asked for.
        audio: sound to copy beside them.

    Raises:
        BitstreamError: no sound that can be read.
        UsageError: sound that NUT cannot hold.
        OSError: what the system says when writing fails.
    """
    writer = _Writer(sink)
    with ExitStack() as stack:
        output = stack.enter_context(av.open(writer, "w", format="nut", buffer_size=_BUFFER_BYTES))
        video = output.add_stream("rawvideo", rate=spec.rate)
        assert isinstance(video, VideoStream)
        context = video.codec_context
        context.width, context.height, context.pix_fmt = spec.width, spec.height, pix_fmt
        context.sample_aspect_ratio = spec.sample_aspect
        context.time_base = video.time_base = tick = 1 / spec.rate
        sound = SoundCopier(output, *stack.enter_context(audio_packets(audio))) if audio is not None else None
        for index, picture in enumerate(pictures):
            packet = Packet(cast(bytes, picture.data))  # any buffer will do; the stub knows bytes only
            packet.stream, packet.time_base, packet.duration, packet.is_keyframe = video, tick, 1, True
            packet.pts = packet.dts = index
            output.mux(packet)
            if sound is not None:
                sound.write_until(index * tick)
            if writer.failure is not None:
                break
        if sound is not None:
            sound.write_until(None)
    if writer.failure is not None:
        raise writer.failure
