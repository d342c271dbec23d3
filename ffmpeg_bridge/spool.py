"""A clip converted once and read many times: encoders that try several settings must all see the same frames."""

import errno
import hashlib
import json
import tempfile
import threading
from collections.abc import Callable, Iterator

import numpy as np
from av import VideoFrame

from ffmpeg_bridge.frames import FrameConverter, check_geometry
from nervplay.errors import Interrupted, OutputError
from nervplay.video.source import FrameSource

__all__ = ["SpooledFrames"]

_FORMAT = "yuv420p"


class SpooledFrames:
    """The frames of a clip as 8-bit 4:2:0 in a file without a name, which is gone when this is closed or dies.

    Args:
        source: the clip; read once, from the first frame to the last.
        progress: told (frames done, frames in all).
        cancel: set by another thread to stop reading.

    Raises:
        GeometryError: odd sides.
        OutputError: no room for the frames.
        Interrupted: cancelled.
    """

    def __init__(
        self,
        source: FrameSource,
        *,
        progress: Callable[[int, int], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        self.spec = source.spec
        check_geometry(self.spec, _FORMAT)
        self._shape = (self.spec.height * 3 // 2, self.spec.width)
        converter = FrameConverter(self.spec.colour, _FORMAT)
        content = hashlib.sha256(json.dumps(self.spec.to_json(), sort_keys=True).encode())
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        count = 0
        try:
            for frame in source.frames():
                if cancel is not None and cancel.is_set():
                    break
                samples = converter.convert(frame).to_ndarray().tobytes()
                content.update(samples)
                self._file.write(samples)
                count += 1
                if progress is not None:
                    progress(count, len(source))
            self._file.flush()
        except OSError as error:
            self.close()
            if error.errno == errno.ENOSPC:
                raise OutputError("no room for the frames in the temporary folder; set TMPDIR to another") from None
            raise
        except BaseException:
            self.close()
            raise
        if count < len(source):
            self.close()
            raise Interrupted(f"reading was stopped after {count} of {len(source)} frames")
        self.digest = content.hexdigest()
        """SHA-256 of geometry, timing, colour and all samples, as hexadecimal digits."""

    def frames(self) -> Iterator[VideoFrame]:
        """Yield the frames in order, time-stamped by index in units of 1 / rate; one reader at a time."""
        size = self._shape[0] * self._shape[1]
        self._file.seek(0)
        for index in range(self.spec.frame_count):
            samples = np.frombuffer(self._file.read(size), np.uint8).reshape(self._shape)
            frame = VideoFrame.from_ndarray(samples, format=_FORMAT)
            frame.pts, frame.time_base = index, 1 / self.spec.rate
            yield frame

    def close(self) -> None:
        """Let the file go; idempotent."""
        self._file.close()
