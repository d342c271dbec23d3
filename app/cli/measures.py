"""The measures of `--metrics` and how they are written."""

from collections.abc import Mapping

from nervplay.errors import UnknownNameError

__all__ = ["MEASURES", "parse_measures"]

MEASURES: Mapping[str, tuple[str, str, int]] = {
    "psnr": ("PSNR", "dB", 2),
    "psnr-yuv": ("PSNR YUV 6:1:1", "dB", 2),
    "ssim": ("SSIM", "", 4),
    "ms-ssim": ("MS-SSIM", "", 4),
    "vmaf": ("VMAF", "", 2),
    "ffmpeg-psnr": ("PSNR by FFmpeg", "dB", 2),
    "ffmpeg-ssim": ("SSIM by FFmpeg", "", 4),
    "xpsnr": ("XPSNR", "dB", 2),
}
"""Heading, unit and decimals of every measure, by its name: those of `nervplay.metrics.METRICS`, then those that FFmpeg
makes, VMAF and `ffmpeg_bridge.filter_meter.FILTERS`."""


def parse_measures(text: str) -> list[str]:
    """Return the measures of a list with commas.

    Raises:
        UnknownNameError: one that does not exist.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in MEASURES:
            raise UnknownNameError("metric", name, MEASURES)
    return names
