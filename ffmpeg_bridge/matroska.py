"""An uncompressed Matroska file that need not exist: every byte follows from the clip and can be made on demand.

Of the raw carriers that FFmpeg reads, only Matroska brings pixel format, all four colour tags, chroma siting and exact
rate (RFC 9559; V_UNCOMPRESSED with FFmpeg's raw code in ColourSpace). All sizes are known before the first frame is
decoded, so the position of every frame is, too: the same bytes serve as a pipe and as a file that can be sought in.

    EBML head | Segment: Info, Tracks, Cues | Cluster of frame 0, clusters of sound | Cluster of frame 1, ... | ...

A tick is a microsecond. A packet of sound lies behind the last frame that needs it, so that a reader who goes to a
frame finds all sound from there on behind it.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ffmpeg_bridge.ebml import element, float_element, head, uint_element
from ffmpeg_bridge.matroska_shape import display_shape
from ffmpeg_bridge.matroska_sound import SoundBlock, sound_track
from ffmpeg_bridge.raw import check_raw, raw_colour
from ffmpeg_bridge.sink import Piece
from nervplay.bitstream.layout import Audio
from nervplay.video.code_points import MATRIX_CODES, PRIMARIES_CODES, RANGE_CODES, TRANSFER_CODES, code
from nervplay.video.spec import VideoSpec

__all__ = ["VirtualMatroska"]

_RAW_CODES = {
    "yuv420p": b"I420",
    "yuv422p": b"Y42B",
    "yuv444p": b"444P",
    "yuv420p10le": b"Y3\x0b\x0a",
    "yuv422p10le": b"Y3\x0a\x0a",
    "yuv444p10le": b"Y3\x00\x0a",
    "rgb24": b"RGB\x18",
}
_HALVED_ACROSS = {"yuv420p", "yuv422p", "yuv420p10le", "yuv422p10le"}
_HALVED_DOWN = {"yuv420p", "yuv420p10le"}
_MOST_CUES = 20_000
_RATES_FOUND_BY_TIME = {Fraction(48000, 1001), Fraction(60000, 1001)}
_FRAME_HEAD_BYTES = 4 + 8 + 10 + 9 + 4


class VirtualMatroska:
    """The bytes of a clip as an uncompressed Matroska file.

    Args:
        spec: the clip.
        pix_fmt: one of `nervplay.choices.RAW_FORMATS`.
        frame_bytes: bytes of a raw picture of that format.
        audio: sound for the second track; packets are copied.

    Raises:
        UnknownNameError: another pixel format, or a colour tag without a code point.
        GeometryError: odd sides where the format halves them.
        BitstreamError: no sound that can be read.
        UsageError: sound that Matroska cannot hold.
    """

    def __init__(self, spec: VideoSpec, pix_fmt: str, frame_bytes: int, audio: Audio | None = None) -> None:
        check_raw(spec, pix_fmt)
        self._rate, self._count, self._frame_bytes = spec.rate, spec.frame_count, frame_bytes
        entry, blocks = sound_track(audio) if audio is not None else (b"", [])
        self._sound = _spread(blocks, [self.time(index + 1) for index in range(spec.frame_count - 1)])
        sizes = [_FRAME_HEAD_BYTES + frame_bytes + len(sound) for sound in self._sound]
        clusters = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        times = [self.time(index) for index in range(self._count)]
        end = max([self.time(self._count), *(block.end for block in blocks)])
        self._head = _head(_video_entry(spec, pix_fmt) + entry, times, end, clusters)
        self._starts = clusters + len(self._head)
        self.size = int(self._starts[-1])
        """Bytes of the whole file."""

    def time(self, index: int) -> int:
        """Return the time of frame `index`, microseconds."""
        return round(Fraction(index * 1_000_000) / self._rate)

    def pieces(self, start: int, end: int, picture: Callable[[int], memoryview]) -> Iterator[Piece]:
        """Yield the bytes start .. end - 1 of the file in order, in pieces.

        Args:
            start: first byte, 0 .. size.
            end: behind the last byte, at most `size`.
            picture: gives the raw bytes of frame i; asked only for frames of which a byte is wanted.
        """
        if start < len(self._head):
            yield self._head[start:end]
        index = max(0, int(np.searchsorted(self._starts, start, side="right")) - 1)
        while index < self._count and (position := int(self._starts[index])) < end:
            head_end = position + _FRAME_HEAD_BYTES
            picture_end = head_end + self._frame_bytes
            if start < head_end:
                yield self._frame_head(index)[max(0, start - position) : end - position]
            if start < picture_end and end > head_end:
                yield picture(index)[max(0, start - head_end) : end - head_end]
            if end > picture_end and (sound := self._sound[index]):
                yield sound[max(0, start - picture_end) : end - picture_end]
            index += 1

    def _frame_head(self, index: int) -> bytes:
        """Return what stands before the picture: the cluster's head and the block's."""
        content = _FRAME_HEAD_BYTES - 12 + self._frame_bytes
        time = uint_element("E7", self.time(index), 8)
        return head("1F43B675", content) + time + head("A3", self._frame_bytes + 4) + b"\x81\x00\x00\x80"


def _spread(blocks: list[SoundBlock], times: list[int]) -> list[bytes]:
    """Return the clusters of sound that lie behind each frame.

    Args:
        blocks: in decoding order.
        times: of all frames but the first, microseconds.
    """
    behind: list[list[bytes]] = [[] for _ in range(len(times) + 1)]
    latest = 0
    for block in blocks:
        latest = max(latest, bisect_left(times, block.needed))  # packets keep their order
        behind[latest].append(block.data)
    return [b"".join(data) for data in behind]


def _head(tracks: bytes, times: list[int], end: int, clusters: NDArray[np.int64]) -> bytes:
    """Return everything before the first cluster.

    Args:
        tracks: TrackEntry of every track.
        times: of the frames, microseconds.
        end: length of the file, microseconds.
        clusters: position of each frame's cluster behind the first one's, and at the end the bytes of all.
    """
    ebml = element(
        "1A45DFA3",
        uint_element("4286", 1)  # version, read version, longest ID and size, document type and its versions
        + uint_element("42F7", 1)
        + uint_element("42F2", 4)
        + uint_element("42F3", 8)
        + element("4282", b"matroska")
        + uint_element("4287", 4)
        + uint_element("4285", 2),
    )
    scale = uint_element("2AD7B1", 1000)
    writer = element("4D80", b"nervplay") + element("5741", b"nervplay")
    fixed = element("1549A966", scale + float_element("4489", float(end)) + writer)
    fixed += element("1654AE6B", tracks)
    chosen = range(0, len(times), -(-len(times) // _MOST_CUES))
    cue_bytes = len(_cue(0, 0)) * len(chosen)
    first = len(fixed) + 12 + cue_bytes
    cues = b"".join(_cue(times[index], first + int(clusters[index])) for index in chosen)
    segment = fixed + head("1C53BB6B", cue_bytes) + cues
    return ebml + head("18538067", len(segment) + int(clusters[-1])) + segment


def _cue(time: int, position: int) -> bytes:
    """Return a cue point of the video track; all have the same size."""
    where = uint_element("F7", 1) + uint_element("F1", position, 8)
    return element("BB", uint_element("B3", time, 8) + element("B7", where))


def _video_entry(spec: VideoSpec, pix_fmt: str) -> bytes:
    """Return the TrackEntry of the pictures."""
    tags = raw_colour(spec, pix_fmt)
    colour = (
        uint_element("55B1", code("colour matrix", tags.matrix, MATRIX_CODES))
        + uint_element("55B9", code("colour range", tags.range, RANGE_CODES))
        + uint_element("55BA", code("colour transfer", tags.transfer, TRANSFER_CODES))
        + uint_element("55BB", code("colour primaries", tags.primaries, PRIMARIES_CODES))
    )
    if pix_fmt in _HALVED_ACROSS:
        colour += uint_element("55B7", 1)  # chroma siting: left, as MPEG-2 has it
    if pix_fmt in _HALVED_DOWN:
        colour += uint_element("55B8", 2)  # half-way between two lines
    video = uint_element("9A", 2) + uint_element("B0", spec.width) + uint_element("BA", spec.height)
    if spec.sample_aspect != 1:
        video += display_shape(spec.width, spec.height, spec.sample_aspect)
    video += element("2EB524", _RAW_CODES[pix_fmt]) + element("55B0", colour)
    # FFmpeg makes a rate with parts up to 30000 of a frame's duration: 119.88 comes out as 29011/242, 4e-7 too fast.
    # The rates that it finds exactly from the times alone go without.
    lasting = round(Fraction(1_000_000_000) / spec.rate)
    duration = b"" if spec.rate in _RATES_FOUND_BY_TIME else uint_element("23E383", lasting)
    numbers = uint_element("D7", 1) + uint_element("73C5", 1) + uint_element("83", 1) + uint_element("9C", 0)
    return element("AE", numbers + duration + element("86", b"V_UNCOMPRESSED") + element("E0", video))
