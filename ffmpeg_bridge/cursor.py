"""A place in a video stream that can be put on any frame.

Seek to a key frame, decode forward, recognise the frame by its presentation time.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import av
from av import Packet, VideoFrame
from av.container import InputContainer
from av.video.stream import VideoStream

from ffmpeg_bridge.stream_index import StreamIndex, damaged
from nervplay.errors import VideoInputError

__all__ = ["FrameCursor"]

_WORTH_A_SEEK = 16


class FrameCursor:
    """Decodes one stream; keeps the frame it stands on.

    Args:
        open_stream: opens the file and returns it with the stream.
        index: the frames of that stream.
    """

    def __init__(self, open_stream: Callable[[], tuple[InputContainer, VideoStream]], index: StreamIndex) -> None:
        self._open_stream = open_stream
        self._index = index
        self._position: dict[int | None, int] = {time: frame for frame, time in enumerate(index.times or ())}
        self._file: tuple[InputContainer, VideoStream] | None = None
        self._frames: Iterator[tuple[int, VideoFrame]] = iter(())
        self._at = -1
        self._current: VideoFrame | None = None

    def seek(self, frame: int) -> VideoFrame:
        """Return frame `frame`, 0 .. count - 1; it is valid until the next call.

        Raises:
            VideoInputError: it, or one that it may be predicted from, is damaged.
        """
        if frame == self._at and self._current is not None:
            return self._current
        place = self._index.entry_before(frame)
        start = self._index.entries[place].first_frame if place >= 0 else 0
        found = None
        near = self._current is not None and self._at < frame and start <= self._at + _WORTH_A_SEEK
        self._current = None  # should decoding fail, the decoder's state is unknown: jump next time
        if near:
            found = self._forward(frame)
        # An entry may be a gradual refresh: the decoder holds frames back until the picture is whole again.
        for earlier in (place, place - 1, 0):
            if found is None:
                self._jump(earlier)
                found = self._forward(frame)
        if found is None:
            raise VideoInputError(damaged(frame))
        self._at, self._current = frame, found
        return found

    def close(self) -> None:
        """Close the file; idempotent."""
        self._current = None
        self._frames = iter(())
        if self._file is not None:
            self._file[0].close()
            self._file = None

    def _forward(self, frame: int) -> VideoFrame | None:
        """Decode until `frame` comes; return it, None when it does not come."""
        for at, picture in self._frames:
            if at >= frame:
                return picture if at == frame else None
        return None

    def _jump(self, place: int) -> None:
        """Put the decoder on the entry at `place`, on one before it, or on the start of the file."""
        for entry in self._index.entries[place:0:-1] if place > 0 else ():
            if self._land(entry.pts, entry.order) or (entry.dts is not None and self._land(entry.dts, entry.order)):
                return  # otherwise this demuxer does not find its own key frame, and the one before is tried
        self.close()
        self._file = container, stream = self._open_stream()
        self._frames = self._decode(container.demux(stream), 0)

    def _land(self, time: int, order: int) -> bool:
        """Seek to `time`; return whether that led to a key packet at place `order` or before it."""
        if self._file is None:
            return False
        container, stream = self._file
        try:
            container.seek(time, stream=stream)
            packets = container.demux(stream)
            first = next(packets)
        except av.FFmpegError:
            return False
        landed = self._index.packets.get((first.pts, first.dts))
        if landed is None or landed > order or not first.is_keyframe:
            return False
        self._frames = self._decode(chain([first], packets), self._position.get(first.pts, 0))
        return True

    def _decode(self, packets: Iterable["Packet[VideoStream]"], first: int) -> Iterator[tuple[int, VideoFrame]]:
        """Yield (index, frame) in presentation order.

        Args:
            packets: from a key packet on, the empty last one included.
            first: index of the key frame; what comes before it may lack its references and is not to be judged.
        """
        at = -1
        try:
            for packet in packets:
                for picture in packet.decode():
                    found = at + 1 if self._index.times is None else self._position.get(picture.pts)
                    if found is None:  # a frame that the index leaves out: not to be shown
                        continue
                    at = found
                    if picture.is_corrupt and at >= first:
                        raise VideoInputError(damaged(at))
                    yield at, picture
        except av.FFmpegError as error:
            raise VideoInputError(damaged(max(at + 1, first), error)) from error
