"""Sound copied beside pictures, packet by packet, into any container that FFmpeg writes."""

from collections.abc import Iterator
from fractions import Fraction

from av import Packet
from av.audio.stream import AudioStream
from av.container import OutputContainer

from nervplay.errors import UsageError

__all__ = ["SoundCopier"]


class SoundCopier:
    """Copies sound into an output, a little at a time, so that it lies between the pictures that it belongs to.

    Args:
        output: where to; nothing has been written to it yet.
        stream: the sound, as a template.
        packets: its packets in decoding order.

    Raises:
        UsageError: a codec that the output cannot hold.
    """

    def __init__(self, output: OutputContainer, stream: AudioStream, packets: Iterator["Packet[AudioStream]"]) -> None:
        if stream.codec_context.name not in output.supported_codecs:
            raise UsageError(
                f"{output.format.name} cannot hold sound in {stream.codec_context.name}; "
                "write .mkv, or leave the sound out: --audio none"
            )
        self._output, self._packets = output, packets
        self._copy = output.add_stream_from_template(stream)
        self._next = next(packets, None)

    def write_until(self, time: Fraction | None) -> None:
        """Write what begins to be decoded until `time` seconds; the rest when None."""
        while (packet := self._next) is not None:
            if time is not None and (packet.dts or 0) * packet.time_base > time:
                return
            packet.stream = self._copy
            self._output.mux(packet)
            self._next = next(self._packets, None)
