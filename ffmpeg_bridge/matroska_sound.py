"""Sound as the second track of a Matroska file: its packets as they are, each with its time in microseconds."""

from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import pairwise

import av
from av.audio.stream import AudioStream

from ffmpeg_bridge.audio import audio_packets
from ffmpeg_bridge.ebml import children, element, head, uint_element
from nervplay.bitstream.layout import Audio
from nervplay.errors import UsageError

__all__ = ["SOUND_TRACK", "SoundBlock", "sound_track"]

SOUND_TRACK = 2
"""Number of the track."""

_SEGMENT, _TRACKS, _ENTRY = "18538067", "1654AE6B", "AE"
_CODEC_DELAY = "56AA"
_OURS = {"D7", "73C5", "9C", "88", _CODEC_DELAY}  # number, UID, lacing, default and delay are written here


@dataclass(frozen=True, kw_only=True)
class SoundBlock:
    """One packet in a cluster of its own.

    A block lies at most 32 ms from its cluster's time in ticks of a microsecond, a frame can last longer: so no packet
    shares the cluster of a frame.

    Args:
        needed: microseconds; frames shown later than this do without the packet.
        end: microseconds at which its sound ends.
        data: the whole cluster.
    """

    needed: int
    end: int
    data: bytes


def sound_track(audio: Audio) -> tuple[bytes, list[SoundBlock]]:
    """Return the TrackEntry of a sound and its packets in decoding order.

    Packets before time 0, the priming of an encoder, are kept: all times are moved on by the first one's, and the entry
    says so (CodecDelay), for readers to move them back.

    Raises:
        BitstreamError: no sound that can be read.
        UsageError: a codec that Matroska cannot hold.
    """
    with audio_packets(audio) as (stream, packets):
        entry = _entry(stream)
        timed = [
            (_micro((packet.pts or 0) * packet.time_base), _micro((packet.duration or 0) * packet.time_base), packet)
            for packet in packets
        ]
        begin = min((start for start, _, _ in timed), default=0)
        shift = max(0, -begin)
        delay = uint_element(_CODEC_DELAY, shift * 1000) if shift else b""
        blocks = []
        starts = [start for start, _, _ in timed] + [timed[-1][0] + timed[-1][1] if timed else 0]
        for (start, following), (_, duration, packet) in zip(pairwise(starts), timed, strict=True):
            length = duration or max(0, following - start)
            # A decoder needs the packet before the one that sounds: most codecs overlap their blocks.
            needed = start + 2 * length
            cluster = uint_element("E7", start + shift, 8) + _block(bytes(packet))
            blocks.append(SoundBlock(needed=needed, end=start + length, data=element("1F43B675", cluster)))
    return element(_ENTRY, entry + delay), blocks


def _micro(seconds: Fraction) -> int:
    """Return seconds as whole microseconds."""
    return round(seconds * 1_000_000)


def _block(data: bytes) -> bytes:
    """Return a SimpleBlock at the time of its cluster."""
    return head("A3", len(data) + 4) + bytes([0x80 | SOUND_TRACK, 0, 0, 0x80]) + data


def _entry(stream: AudioStream) -> bytes:
    """Return what FFmpeg's own muxer says about the codec, as track `SOUND_TRACK`."""
    file = BytesIO()
    with av.open(file, "w", format="matroska", options={"fflags": "+bitexact"}) as output:
        try:
            output.add_stream_from_template(stream)
            output.start_encoding()
        except (ValueError, av.FFmpegError) as error:
            name = stream.codec_context.name
            raise UsageError(f"Matroska cannot hold sound in {name}; leave it out: --audio none") from error
    segment = next(data for name, data in children(file.getvalue()) if name == _SEGMENT)
    tracks = next(data for name, data in children(segment) if name == _TRACKS)
    entry = next(data for name, data in children(tracks) if name == _ENTRY)
    ours = uint_element("D7", SOUND_TRACK) + uint_element("73C5", SOUND_TRACK) + uint_element("9C", 0)
    return ours + b"".join(element(name, data) for name, data in children(entry) if name not in _OURS)
