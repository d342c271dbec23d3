"""Clips: what they are, where their frames come from, RGB and YUV, cutting, and pictures of pictures. Free of torch."""

from nervplay.video.colour import yuv_to_rgb
from nervplay.video.compose import contact_sheet, difference, side_by_side, stacked, wipe
from nervplay.video.folder import ImageFolderSource
from nervplay.video.pairing import SideBySideSource
from nervplay.video.retime import RetimedSource, retimed
from nervplay.video.selection import parse_frames, parse_range, parse_rate, parse_size
from nervplay.video.source import ArraySource, BaseSource, Frame, FrameSource, PlanarSource, Planes
from nervplay.video.spec import Colour, VideoSpec, default_colour
from nervplay.video.transform import FrameTransform, matched

__all__ = [
    "ArraySource",
    "BaseSource",
    "Colour",
    "Frame",
    "FrameSource",
    "FrameTransform",
    "ImageFolderSource",
    "PlanarSource",
    "Planes",
    "RetimedSource",
    "SideBySideSource",
    "VideoSpec",
    "contact_sheet",
    "default_colour",
    "difference",
    "matched",
    "parse_frames",
    "parse_range",
    "parse_rate",
    "parse_size",
    "retimed",
    "side_by_side",
    "stacked",
    "wipe",
    "yuv_to_rgb",
]
