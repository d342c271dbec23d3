"""The shape of pixels in a Matroska or WebM file: FFmpeg's muxer takes it from a field that PyAV has no name for.

Without it players take VP9, AV1 and FFV1 for square pixels; H.264 and H.265 also say it in their own headers. So the
finished file gets it: into the head, which stays as long as it was. The muxer leaves room behind its index of the head.

    Segment: SeekHead | Void | Info | Tracks | ...      Tracks ends where it ended; the Void becomes what is left
"""

import zlib
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from ffmpeg_bridge.ebml import children, element, head, uint_element

__all__ = ["display_shape", "write_sample_aspect"]

_SEGMENT, _SEEK_HEAD, _VOID, _INFO, _TRACKS = "18538067", "114D9B74", "EC", "1549A966", "1654AE6B"
_SEEK, _SEEK_ID, _SEEK_POSITION, _CRC = "4DBB", "53AB", "53AC", "BF"
_TRACK, _VIDEO, _WIDTH, _HEIGHT = "AE", "E0", "B0", "BA"
_DISPLAY = ("54B0", "54BA", "54B2")
_HEAD_BYTES = 1 << 20
_VOID_HEAD_BYTES = 9


def display_shape(width: int, height: int, sample_aspect: Fraction) -> bytes:
    """Return the elements of a video track that say how a picture of width x height is to be shown."""
    shape = Fraction(width, height) * sample_aspect
    values = (shape.numerator, shape.denominator, 3)  # the unit of the two: an aspect ratio
    return b"".join(map(uint_element, _DISPLAY, values))


def write_sample_aspect(path: Path, sample_aspect: Fraction) -> None:
    """Write the shape of pixels into a finished file of FFmpeg's Matroska muxer.

    Args:
        path: the file; has one video track.
        sample_aspect: width of a pixel over its height.
    """
    with path.open("r+b") as file:
        data = file.read(_HEAD_BYTES)
        segment = dict(children(data))[_SEGMENT]
        parts = dict(children(segment))
        end = segment.index(parts[_TRACKS]) + len(parts[_TRACKS])
        info, tracks = element(_INFO, parts[_INFO]), element(_TRACKS, _shaped(parts[_TRACKS], sample_aspect))
        places = {_INFO: end - len(tracks) - len(info), _TRACKS: end - len(tracks)}
        index = element(_SEEK_HEAD, _moved(parts[_SEEK_HEAD], places))
        spare = places[_INFO] - len(index) - _VOID_HEAD_BYTES
        assert spare >= 0, "the muxer leaves 80 bytes and more, of which 14 are needed"
        file.seek(len(data) - len(segment))
        file.write(index + head(_VOID, spare) + bytes(spare) + info + tracks)


def _shaped(tracks: bytes, sample_aspect: Fraction) -> bytes:
    """Return the content of Tracks with the shape in its video track."""
    return _joined(
        (name, _with_video(content, sample_aspect) if name == _TRACK else content) for name, content in children(tracks)
    )


def _with_video(track: bytes, sample_aspect: Fraction) -> bytes:
    """Return the content of a TrackEntry; that of another kind of track as it is."""
    fields = ((name, _shown(data, sample_aspect) if name == _VIDEO else data) for name, data in children(track))
    return b"".join(element(*field) for field in fields)


def _shown(video: bytes, sample_aspect: Fraction) -> bytes:
    """Return the content of a Video element with the shape in it."""
    fields = dict(children(video))
    width, height = (int.from_bytes(fields[name], "big") for name in (_WIDTH, _HEIGHT))
    kept = b"".join(element(name, content) for name, content in fields.items() if name not in _DISPLAY)
    return kept + display_shape(width, height, sample_aspect)


def _moved(index: bytes, places: dict[str, int]) -> bytes:
    """Return the content of a SeekHead with elements at other places of the Segment."""
    return _joined((name, _placed(content, places) if name == _SEEK else content) for name, content in children(index))


def _placed(seek: bytes, places: dict[str, int]) -> bytes:
    """Return the content of a Seek; that of an element that stays where it is as it is."""
    sought = dict(children(seek))[_SEEK_ID]
    place = places.get(sought.hex().upper())
    return seek if place is None else element(_SEEK_ID, sought) + uint_element(_SEEK_POSITION, place)


def _joined(elements: Iterable[tuple[str, bytes]]) -> bytes:
    """Return (ID, content) pairs as bytes; a checksum, which stands first where there is one, is that of the others."""
    (first, content), *others = elements
    rest = b"".join(element(*other) for other in others)
    return element(first, zlib.crc32(rest).to_bytes(4, "little") if first == _CRC else content) + rest
