"""FFmpeg's own quality filters on pairs of frames, inside this process: psnr, ssim, xpsnr.

Two clips meet in a filter by time stamp, and clips from different containers have different ones; here both are stamped
with the number of the pair, so that frame i always meets frame i.
"""

from collections.abc import Callable
from fractions import Fraction

import av
from av import VideoFrame
from av.filter import Graph
from av.filter.context import FilterContext

from ffmpeg_bridge.frames import FrameConverter
from nervplay.errors import CapabilityError, UnknownNameError
from nervplay.video.source import Frame
from nervplay.video.spec import Colour, VideoSpec

__all__ = ["FILTERS", "FilterMeter", "common_format"]

FILTERS: dict[str, tuple[str, Callable[[dict[str, str]], float]]] = {
    "ffmpeg-psnr": ("psnr", lambda found: float(found["lavfi.psnr.psnr_avg"])),
    "ffmpeg-ssim": ("ssim", lambda found: float(found["lavfi.ssim.All"])),
    "xpsnr": ("xpsnr", lambda found: min(float(found[f"lavfi.xpsnr.xpsnr.{plane}"]) for plane in "yuv")),
}
"""Measures by name: FFmpeg's filter, and how its value is read; of XPSNR the worst plane, as FFmpeg sums it up."""

_TICK = Fraction(1, 25)


def common_format(spec: VideoSpec) -> str:
    """Return the pixel format in which frames of this size are measured: 4:2:0, or 4:4:4 where a side is odd."""
    return "yuv444p" if spec.width % 2 or spec.height % 2 else "yuv420p"


class FilterMeter:
    """A `nervplay.metrics.Meter` that asks a filter of FFmpeg; frames become 8-bit BT.709 in `common_format`.

    Args:
        name: a key of `FILTERS`.
        spec: size of the frames.

    Raises:
        UnknownNameError: another name.
        CapabilityError: this build of FFmpeg's libraries has no such filter.
    """

    def __init__(self, name: str, spec: VideoSpec) -> None:
        if name not in FILTERS:
            raise UnknownNameError("filter metric", name, FILTERS)
        filter_name, self._read = FILTERS[name]
        if filter_name not in av.filter.filters_available:
            raise CapabilityError(
                f"{name} needs FFmpeg's filter {filter_name}, which this PyAV lacks; install av again"
            )
        pix_fmt = common_format(spec)
        self._converter = FrameConverter(Colour(), pix_fmt)
        self._graph = Graph()
        source = (
            f"video_size={spec.width}x{spec.height}:pix_fmt={pix_fmt}:time_base={_TICK}:frame_rate={1 / _TICK}:"
            "pixel_aspect=1/1:colorspace=bt709:range=tv"
        )
        first, second = (self._graph.add("buffer", args=source) for _ in range(2))
        compared, sink = self._graph.add(filter_name), self._graph.add("buffersink")
        first.link_to(compared, 0, 0)
        second.link_to(compared, 0, 1)
        compared.link_to(sink)
        self._graph.configure()
        self._inputs: tuple[FilterContext, FilterContext] = (first, second)
        self._values: list[float] = []
        self._pairs = 0

    def add(self, frame: Frame, reference: Frame) -> None:
        """Take the next pair, uint8 (H, W, 3) RGB each."""
        for entrance, picture in zip(self._inputs, (frame, reference), strict=True):
            converted = self._converter.convert(picture)
            converted.pts, converted.time_base = self._pairs, _TICK
            entrance.push(converted)
        self._pairs += 1
        self._drain()

    def _drain(self) -> None:
        """Read the values of all pairs that the filter is done with."""
        while True:
            try:
                pulled = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            assert isinstance(pulled, VideoFrame)
            self._values.append(self._read(dict(pulled.metadata)))

    def values(self) -> list[float]:
        """Return one value per pair; nothing is added after that."""
        for entrance in self._inputs:
            entrance.push(None)
        self._drain()
        assert len(self._values) == self._pairs, "the filter lost a pair"
        return self._values
