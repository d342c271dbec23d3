"""Video in and out through FFmpeg's libraries: read clips, copy their sound, export files, write pipes, serve URLs."""

from ffmpeg_bridge.audio import audio_packets, extract_audio
from ffmpeg_bridge.export import ExportReport, export_video
from ffmpeg_bridge.http_server import VideoServer
from ffmpeg_bridge.pipe import write_pipe
from ffmpeg_bridge.reader import VideoFileSource, open_source

__all__ = [
    "ExportReport",
    "VideoFileSource",
    "VideoServer",
    "audio_packets",
    "export_video",
    "extract_audio",
    "open_source",
    "write_pipe",
]
