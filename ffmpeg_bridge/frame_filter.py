"""Frames through a filter graph of FFmpeg's libraries, inside this process."""

from collections.abc import Iterator
from fractions import Fraction

import av
from av import VideoFrame
from av.filter import Graph
from av.filter.context import FilterContext

from ffmpeg_bridge.graph_text import FilterText, parse_graph
from nervplay.errors import UsageError
from nervplay.video.spec import Colour

__all__ = ["FrameFilter"]

_SOURCE_LABELS = ("0:v", "0", "in")
_MOST_AT_ONCE = 1000
"""Frames that may come out at once, for each that went in; a graph with more has no end."""

_Pad = tuple[FilterContext, int]


class FrameFilter:
    """A graph with one open entrance and one open exit; frames leave it in a given pixel format and colour.

    What a graph does to size, rate and time stamps is seen on the frames that come out.

    Args:
        text: the graph as FFmpeg writes it; the frames are [in], [0:v], or the first entrance without a label.
        size: (width, height) of the frames that go in.
        tick: seconds per unit of their time stamps.
        sample_aspect: of the frames that go in.
        pix_fmt: of the frames that go in.
        colour: of the frames that go in; those that come out have the same matrix and range. "gbr" for RGB.
        output: pixel format of the frames that come out; None for `pix_fmt`.

    Raises:
        UsageError: a graph that cannot be read, built, or does not have one entrance and one exit.
    """

    def __init__(
        self,
        text: str,
        *,
        size: tuple[int, int],
        tick: Fraction,
        sample_aspect: Fraction,
        pix_fmt: str,
        colour: Colour,
        output: str | None = None,
    ) -> None:
        self._text, self._taken = text, 0
        self._graph = Graph()
        aspect = f"{sample_aspect.numerator}/{sample_aspect.denominator}"
        self._entrance = self._graph.add(
            "buffer",
            f"video_size={size[0]}x{size[1]}:pix_fmt={pix_fmt}:time_base={tick}:frame_rate={1 / tick}:"
            f"pixel_aspect={aspect}:colorspace={colour.matrix}:range={colour.range}",
        )
        last = _Builder(self._graph, self._entrance, text).build()
        try:
            formats = f"pix_fmts={output or pix_fmt}"
            if output is None:
                formats += f":color_spaces={colour.matrix}:color_ranges={colour.range}"
            agreed, sink = self._graph.add("format", formats), self._graph.add("buffersink")
            last[0].link_to(agreed, last[1], 0)
            agreed.link_to(sink)
            self._graph.configure()
        except (av.FFmpegError, ValueError) as error:
            raise UsageError(
                f"filter graph '{text}' cannot be used: {_reason(error)}; see man ffmpeg-filters"
            ) from None

    def run(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        """Put a frame in, None at the end of the clip; yield those that come out, time-stamped.

        Raises:
            UsageError: a filter refuses the frame.
        """
        try:
            self._entrance.push(frame)
            self._taken += 1
            for _ in range(_MOST_AT_ONCE * self._taken):
                pulled = self._graph.pull()
                assert isinstance(pulled, VideoFrame)
                yield pulled
        except (av.BlockingIOError, av.EOFError):
            return
        except av.FFmpegError as error:
            raise UsageError(f"filter graph '{self._text}' failed on a frame: {_reason(error)}; change it") from None
        raise UsageError(f"filter graph '{self._text}' does not end with the clip; add shortest=1 where clips meet")


class _Builder:
    """Adds the filters of a text to a graph and links them by FFmpeg's rules."""

    def __init__(self, graph: Graph, entrance: FilterContext, text: str) -> None:
        self._graph, self._text = graph, text
        self._entrance: _Pad | None = (entrance, 0)
        self._sources: dict[str, _Pad] = dict.fromkeys(_SOURCE_LABELS, (entrance, 0))
        self._wanted: dict[str, list[_Pad]] = {}
        self._open: list[_Pad] = []

    def build(self) -> _Pad:
        """Return the one exit that nothing is linked to."""
        for chain in parse_graph(self._text):
            before: _Pad | None = None
            for place, part in enumerate(chain):
                before = self._add(part, before, first=place == 0)
            assert before is not None
            if not chain[-1].outputs:
                self._open.append(before)
        for label, pads in self._wanted.items():
            if label not in self._sources:
                raise self._error(f"nothing makes [{label}]")
            if len(pads) > 1:
                raise self._error(f"[{label}] is used {len(pads)} times; use split")
            self._link(self._sources.pop(label), pads[0])
        named = [pad for label, pad in self._sources.items() if label not in _SOURCE_LABELS]
        ends = named + self._open
        if self._entrance is not None:
            raise self._error("it does not use the frames")
        if len(ends) != 1:
            raise self._error(f"it has {len(ends)} open ends, and must have one")
        return ends[0]

    def _add(self, part: FilterText, before: _Pad | None, *, first: bool) -> _Pad:
        """Add one filter, link what stands before it in its chain; return its first exit without a label."""
        try:
            name = f"{part.name}@{part.instance}" if part.instance else part.name
            context = self._graph.add(part.name, part.arguments, name=name)
        except (av.FFmpegError, ValueError) as error:
            raise self._error(f"{part.name} cannot be made ({_reason(error)})") from None
        for number, label in enumerate(part.inputs):
            self._wanted.setdefault(label, []).append((context, number))
            if label in _SOURCE_LABELS:
                self._entrance = None
        entry = (context, len(part.inputs))
        if before is not None:
            self._link(before, entry)
        elif first and not part.inputs and self._entrance is not None and self._takes(self._entrance, entry):
            self._entrance = None
        for number, label in enumerate(part.outputs):
            if label in self._sources:
                raise self._error(f"[{label}] is made twice")
            self._sources[label] = (context, number)
        return context, len(part.outputs)

    def _takes(self, source: _Pad, entry: _Pad) -> bool:
        """Link the frames to a filter without labels before it; return whether it takes any (a source does not)."""
        try:
            source[0].link_to(entry[0], source[1], entry[1])
        except (av.FFmpegError, ValueError):
            return False
        return True

    def _link(self, source: _Pad, entry: _Pad) -> None:
        try:
            source[0].link_to(entry[0], source[1], entry[1])
        except (av.FFmpegError, ValueError) as error:
            raise self._error(f"{entry[0].name} cannot be linked ({_reason(error)})") from None

    def _error(self, rule: str) -> UsageError:
        return UsageError(f"filter graph '{self._text}': {rule}; see man ffmpeg-filters")


def _reason(error: Exception) -> str:
    """Return FFmpeg's words for an error, without PyAV's ornaments."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
