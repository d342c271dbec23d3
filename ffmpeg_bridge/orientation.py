"""The display matrix of a clip: quarter turns and mirrors that cameras record instead of turning the pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from av import VideoFrame
from av.buffer import Buffer
from av.sidedata.sidedata import Type

from nervplay.errors import VideoInputError
from nervplay.video.source import Frame

__all__ = ["Orientation", "orientation"]

_ONE = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """How a decoded picture is laid on the screen: rows and columns swapped first, then mirrored.

    Args:
        swap: rows become columns.
        mirror: left and right change places.
        flip: top and bottom change places.
    """

    swap: bool = False
    mirror: bool = False
    flip: bool = False

    def turn(self, frame: Frame) -> Frame:
        """Return uint8 (H, W, 3) as it is to be seen; (W, H, 3) when `swap`."""
        if self.swap:
            frame = frame.transpose(1, 0, 2)
        if self.mirror:
            frame = frame[:, ::-1]
        if self.flip:
            frame = frame[::-1]
        return np.ascontiguousarray(frame)


def orientation(frame: VideoFrame) -> Orientation:
    """Return the orientation that a decoded frame carries; upright when it carries none.

    The matrix (ISO/IEC 14496-12, 8.2.2) maps column x and row y to x' = a x + c y, y' = b x + d y.

    Raises:
        VideoInputError: a turn that is no multiple of 90 degrees, or a scale.
    """
    data = cast(Mapping[Type, Buffer], frame.side_data).get(Type.DISPLAYMATRIX)
    if data is None:
        return Orientation()
    a, b, _, c, d = (int(value) for value in np.frombuffer(memoryview(data), np.int32)[:5])
    if {abs(a), abs(d)} == {_ONE} and b == c == 0:
        return Orientation(mirror=a < 0, flip=d < 0)
    if {abs(b), abs(c)} == {_ONE} and a == d == 0:
        return Orientation(swap=True, mirror=c < 0, flip=b < 0)
    raise VideoInputError(
        f"its display matrix ({a} {b} / {c} {d}) is no quarter turn; "
        "turn the pixels first: ffmpeg -i IN -vf rotate=ANGLE OUT"
    )
