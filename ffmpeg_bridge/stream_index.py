"""Which frames a video stream holds: presentation time of each, and the packets at which decoding can start.

Two ways to know. The cheap one reads packets only; it is taken where a packet is a frame by construction (`_ONE_TO_ONE`
codecs in containers that store presentation times). Everything else is decoded once from end to end: raw streams and
AVI have no presentation times, some codecs hide frames or put two in a packet, and interlaced streams may hold a field
per packet.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from nervplay.errors import VideoInputError

__all__ = ["Entry", "StreamIndex", "build_index", "damaged"]

_TIMED_CONTAINERS = {"mov", "matroska", "mpegts"}
_ONE_TO_ONE = {"h264", "hevc", "av1", "vp9", "mjpeg", "png", "prores", "dnxhd", "ffv1", "huffyuv", "ffvhuff", "utvideo"}
_PROGRESSIVE_OR_UNKNOWN = (0, 1)
_COARSE_TICKS = 1000
_RATE_OF_A_STILL = Fraction(25)


@dataclass(frozen=True)
class Entry:
    """A packet at which decoding can start.

    Args:
        order: its place in the file, counted in packets of the stream.
        first_frame: index of the frame that it holds.
        pts: presentation time, in ticks of the stream.
        dts: decoding time, in ticks of the stream.
    """

    order: int
    first_frame: int
    pts: int
    dts: int | None


@dataclass(frozen=True, kw_only=True)
class StreamIndex:
    """All frames of a stream in presentation order.

    Args:
        count: number of frames.
        times: presentation time of each in ticks, rising; None when the stream has none that can be relied on, and
            frames are known by their place alone.
        entries: where decoding can start, by rising first frame; empty without `times`.
        packets: place of every packet by (pts, dts), to know where a seek has landed.
    """

    count: int
    times: tuple[int, ...] | None
    entries: tuple[Entry, ...]
    packets: dict[tuple[int | None, int | None], int]

    def entry_before(self, frame: int) -> int:
        """Return the position in `entries` of the last one at or before `frame`; -1 when there is none."""
        return bisect_right(self.entries, frame, key=lambda entry: entry.first_frame) - 1

    def rate(self, time_base: Fraction | None, average: Fraction | None) -> Fraction:
        """Return frames per second: exact when all frames are equally far apart, else the average.

        Args:
            time_base: seconds per tick of `times`.
            average: what the container says, or None; taken where the times are rounded (Matroska: to milliseconds).
        """
        if self.times is not None and time_base is not None and self.count > 1:
            gaps = {later - earlier for earlier, later in pairwise(self.times)}
            if len(gaps) == 1 and time_base.denominator > _COARSE_TICKS:
                return 1 / (gaps.pop() * time_base)
            if average is None:
                return Fraction(self.count - 1) / ((self.times[-1] - self.times[0]) * time_base)
        return average or _RATE_OF_A_STILL


@dataclass(frozen=True)
class _Packet:
    """What is remembered of a packet."""

    pts: int | None
    dts: int | None
    key: bool
    shown: bool


def build_index(open_stream: Callable[[], tuple[InputContainer, VideoStream]]) -> StreamIndex:
    """Return the index of a stream.

    Args:
        open_stream: opens the file and returns it with the stream; called once or twice, each file is closed again.

    Raises:
        VideoInputError: no frames, or a damaged one where frames had to be decoded to be counted.
        av.FFmpegError: the container cannot be read.
    """
    container, stream = open_stream()
    with container:
        codec = stream.codec_context
        whole_packets = codec.name in _ONE_TO_ONE and codec.field_order in _PROGRESSIVE_OR_UNKNOWN
        timed = not _TIMED_CONTAINERS.isdisjoint(container.format.name.split(","))
        packets = [
            _Packet(packet.pts, packet.dts, packet.is_keyframe, not packet.is_discard)
            for packet in container.demux(stream)
            if packet.size
        ]
    times: list[int | None] = []
    if whole_packets and timed and packets and packets[0].key:
        times = sorted((packet.pts for packet in packets if packet.shown), key=lambda pts: (pts is not None, pts))
    if _rising(times) is None:
        container, stream = open_stream()
        with container:
            times = _decoded_times(container, stream)
        shown = sum(packet.shown for packet in packets)
        if whole_packets and packets and packets[0].key and 0 < len(times) < shown:
            raise VideoInputError(f"{shown - len(times)} of its {shown} frames are damaged; get the file again")
    if not times:
        raise VideoInputError("its video stream holds no frames")
    return _index(packets, times)


def _index(packets: list[_Packet], times: list[int | None]) -> StreamIndex:
    """Return the index of frames shown at `times`, in that order."""
    rising = _rising(times)
    if rising is None:
        return StreamIndex(count=len(times), times=None, entries=(), packets={})
    entries = [
        Entry(order, bisect_left(rising, packet.pts), packet.pts, packet.dts)
        for order, packet in enumerate(packets)
        if packet.key and packet.pts is not None
    ]
    return StreamIndex(
        count=len(rising),
        times=rising,
        entries=tuple(sorted(entries, key=lambda entry: (entry.first_frame, entry.order))),
        packets={(packet.pts, packet.dts): order for order, packet in enumerate(packets)},
    )


def _rising(times: list[int | None]) -> tuple[int, ...] | None:
    """Return `times` if there are any, all are known and each is later than the one before; else None."""
    known = [time for time in times if time is not None]
    if not known or len(known) < len(times) or any(b <= a for a, b in pairwise(known)):
        return None
    return tuple(known)


def _decoded_times(container: InputContainer, stream: VideoStream) -> list[int | None]:
    """Return the presentation time of every frame in the order in which the decoder gives them."""
    times: list[int | None] = []
    try:
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise VideoInputError(damaged(len(times)))
            times.append(frame.pts)
    except av.FFmpegError as error:
        raise VideoInputError(damaged(len(times), error)) from error
    return times


def damaged(frame: int, error: Exception | None = None) -> str:
    """Return the words for a frame that cannot be decoded; the name of the file is put before them.

    Args:
        frame: its index.
        error: what the decoder said, if it said something.
    """
    reason = f" ({error.strerror})" if isinstance(error, av.FFmpegError) and error.strerror else ""
    return f"frame {frame} is damaged{reason}; get the file again, or take the frames before it with --frames :{frame}"
