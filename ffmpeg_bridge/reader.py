"""Clips in: a video file through PyAV, or a folder of pictures, as a `FrameSource`.

Frames are what the decoder gives: interlaced clips keep both fields woven in one frame, nothing is deinterlaced.
"""

import os
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av import VideoFrame
from av.codec.context import ThreadType
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from ffmpeg_bridge.cursor import FrameCursor
from ffmpeg_bridge.orientation import orientation
from ffmpeg_bridge.pixels import rgb_reader
from ffmpeg_bridge.stream_index import StreamIndex, build_index
from ffmpeg_bridge.tags import clip_colour
from ffmpeg_bridge.truncation import missing_bytes
from nervplay.errors import MissingInputError, UsageError, VideoInputError
from nervplay.video.folder import ImageFolderSource
from nervplay.video.source import BaseSource, Frame, FrameSource
from nervplay.video.spec import VideoSpec

__all__ = ["VideoFileSource", "open_source"]

_DECODER_THREADS = min(4, os.cpu_count() or 1)
_FOLDER_RATE = Fraction(25)


def open_source(path: Path, *, rate: Fraction = _FOLDER_RATE) -> FrameSource:
    """Open a video file, or a folder with one picture per frame in the order of their names.

    Args:
        path: the file or folder.
        rate: frames per second of a folder; a video file states its own.

    Raises:
        MissingInputError: nothing there, or it cannot be opened.
        VideoInputError: no media file, no video, no frames, cut short, or a kind that cannot be converted.
    """
    return ImageFolderSource(path, rate) if path.is_dir() else VideoFileSource(path)


class VideoFileSource(BaseSource):
    """The frames of the first video stream of a file, exact by index whatever the stream's structure.

    Rising indices are a plain decoding pass; a jump costs the frames since the key frame before it. The spec's rate is
    exact where frames are equally far apart, else the average.

    Args:
        path: any file that FFmpeg reads.

    Raises:
        MissingInputError: no such file, or it cannot be opened.
        VideoInputError: no media file, no video stream, no frames, cut short, or a kind that cannot be converted; when
            a frame is read: that it is damaged.
        UsageError: the source is closed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            raise MissingInputError(f"{path} does not exist; give a video file or a folder of pictures")
        self._cursor: FrameCursor | None = None
        try:
            super().__init__(self._open())
        except VideoInputError as error:
            self.close()
            raise VideoInputError(f"{path}: {error}") from error
        except PermissionError as error:
            self.close()
            raise MissingInputError(f"{path} cannot be opened ({error.strerror}); check its rights") from error
        except (av.FFmpegError, OSError) as error:
            self.close()
            reason = f"{path} is no readable media file ({error.strerror}); give a video file"
            raise VideoInputError(reason) from error

    def _open(self) -> VideoSpec:
        """Index the file, decode its first frame, choose the conversions; return its spec."""
        if missing := missing_bytes(self._path):
            raise VideoInputError(f"the file is cut short, {missing} bytes are missing; copy or download it again")
        index = build_index(self._open_stream)
        self._cursor = FrameCursor(self._open_stream, index)
        first = self._cursor.seek(0)
        self._to_rgb = rgb_reader(first)
        self._orientation = orientation(first)
        return self._describe(first, index)

    def _open_stream(self) -> tuple[InputContainer, VideoStream]:
        """Open the file; return it with its first stream that is no cover picture, threads set."""
        # the protocol is named: "a:b.mp4" is a file, too
        container = av.open(f"file:{self._path}", metadata_errors="replace")
        streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
        if not streams:
            container.close()
            raise VideoInputError("the file has no video stream; give a file with pictures")
        stream = streams[0]
        codec = cast(VideoCodecContext | None, stream.codec_context)
        if codec is None:
            container.close()
            raise VideoInputError("its video codec is unknown to FFmpeg; convert the clip to H.264 first")
        codec.thread_type = ThreadType.AUTO
        codec.thread_count = _DECODER_THREADS
        return container, stream

    def _describe(self, first: VideoFrame, index: StreamIndex) -> VideoSpec:
        """Return the spec of the stream whose first frame is `first`."""
        container, stream = self._open_stream()
        with container:
            aspect = stream.sample_aspect_ratio or Fraction(1)
            rate = index.rate(stream.time_base, stream.average_rate or stream.guessed_rate)
        width, height = first.width, first.height
        if self._orientation.swap:
            width, height, aspect = height, width, 1 / aspect
        return VideoSpec(
            width=width,
            height=height,
            frame_count=index.count,
            rate=rate,
            colour=clip_colour(first, height),
            sample_aspect=aspect,
        )

    def _read(self, index: int) -> Frame:
        if self._cursor is None:
            raise UsageError(f"{self._path} is closed; open it again to read frames")
        try:
            frame = self._orientation.turn(self._to_rgb(self._cursor.seek(index)))
        except VideoInputError as error:
            raise VideoInputError(f"{self._path}: {error}") from error
        except (av.FFmpegError, OSError) as error:
            reason = f"{self._path} can no longer be read ({error.strerror}); has it been changed or removed?"
            raise VideoInputError(reason) from error
        if frame.shape != (self.spec.height, self.spec.width, 3):
            raise VideoInputError(
                f"{self._path}: frame {index} is {frame.shape[1]}x{frame.shape[0]} but the first one is "
                f"{self.spec.width}x{self.spec.height}; all frames of a clip must have one size"
            )
        return frame

    def close(self) -> None:
        """Close the file; reading is an error afterwards."""
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None
