"""The frei0r plug-in: neural video as a source and as a compare filter of unpatched FFmpeg, mpv and MLT."""

from ffmpeg_bridge.frei0r.graph import compare_graph, source_graph
from ffmpeg_bridge.frei0r.install import install_plugins, plugin_folder
from ffmpeg_bridge.frei0r.server import FrameServer

__all__ = ["FrameServer", "compare_graph", "install_plugins", "plugin_folder", "source_graph"]
