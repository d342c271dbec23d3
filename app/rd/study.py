"""Measuring: every file, and every anchor at a ladder of sizes, against the same frames."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ffmpeg_bridge import open_source
from ffmpeg_bridge.anchors import ANCHORS, Anchor, AnchorEncoder
from nervplay.errors import UnknownNameError, UsageError
from nervplay.video import FrameSource, VideoSpec

__all__ = ["AnchorWish", "Measure", "NeuralFile", "RdCurve", "RdPoint", "RdStudy", "parse_anchors", "run_study"]

_MOST_EXTENSIONS = 5
"""Halvings or doublings beyond the files' sizes, in search of the files' quality."""

_OUT_OF_REACH = 0.15
"""An anchor this far from the size asked for has come to the end of its settings."""

Measure = Callable[[str, FrameSource, int], Mapping[str, float]]
"""(what is measured, its frames, its bytes) -> mean of each measure."""


@dataclass(frozen=True)
class AnchorWish:
    """An anchor as the user named it.

    Args:
        codec: a key of `ffmpeg_bridge.anchors.ANCHORS`.
        preset: the encoder's preset.
    """

    codec: str
    preset: str

    @property
    def name(self) -> str:
        """The name of its curve."""
        return f"{self.codec} {self.preset}"


@dataclass(frozen=True, kw_only=True)
class NeuralFile:
    """A neural video to be measured.

    Args:
        path: the .nerv file.
        architecture: its network; files of one architecture are points of one curve.
        size: bytes without sound and still.
        open: returns its frames; they are closed after measuring.
    """

    path: Path
    architecture: str
    size: int
    open: Callable[[], FrameSource]


@dataclass(frozen=True, kw_only=True)
class RdPoint:
    """One encode.

    Args:
        name: file name, or the encoder's setting.
        size: bytes.
        target: bytes that were asked for; `size` for files.
        quality: mean of each measure over the frames.
    """

    name: str
    size: int
    target: int
    quality: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class RdCurve:
    """Points of one encoder, in rising size.

    Args:
        name: what it is.
        neural: whether they are .nerv files.
        points: see `RdPoint`.
    """

    name: str
    neural: bool
    points: tuple[RdPoint, ...]

    def values(self, measure: str) -> list[tuple[float, float]]:
        """Return (bytes, quality) of all points."""
        return [(point.size, point.quality[measure]) for point in self.points]


@dataclass(frozen=True, kw_only=True)
class RdStudy:
    """All that was measured.

    Args:
        clip: name of the source.
        spec: its frames as they were measured.
        measures: names, in order.
        curves: neural ones first.
        missing: measures that could not be made -> why.
    """

    clip: str
    spec: VideoSpec
    measures: tuple[str, ...]
    curves: tuple[RdCurve, ...]
    missing: Mapping[str, str] = field(default_factory=dict)

    def bpp(self, size: float) -> float:
        """Return bits per pixel of so many bytes."""
        return 8 * size / self.spec.pixels

    def kbit_per_second(self, size: float) -> float:
        """Return the bit rate of so many bytes, in 1000 bits per second."""
        return float(8 * size / self.spec.duration / 1000)


def parse_anchors(text: str) -> list[AnchorWish]:
    """Return the anchors of "x264,x265:veryslow,svtav1"; none for "none".

    Raises:
        UnknownNameError: no such anchor.
        UsageError: the same one twice.
    """
    wishes: list[AnchorWish] = []
    for item in [] if text.strip() == "none" else text.split(","):
        codec, _, preset = item.strip().partition(":")
        if codec not in ANCHORS:
            raise UnknownNameError("anchor", codec, [*ANCHORS, "none"])
        wish = AnchorWish(codec, preset or ANCHORS[codec].preset)
        if wish in wishes:
            raise UsageError(f"anchor {wish.name} stands twice in '{text}'; leave one out")
        wishes.append(wish)
    return wishes


def run_study(
    clip: str,
    reference: FrameSource,
    files: Sequence[NeuralFile],
    wishes: Sequence[AnchorWish],
    measures: Sequence[str],
    *,
    measure: Measure,
    encoder: AnchorEncoder,
) -> RdStudy:
    """Measure all files, and the anchors at half the smallest file's size, at each file's and at twice the largest's.

    An anchor that does not cover the files' range of PSNR with that goes on with halves or doubles until it does.

    Args:
        clip: name of the source.
        reference: its frames, cut as the files need them.
        files: at least one.
        wishes: anchors.
        measures: names; "psnr" among them.
        measure: measures one encode.
        encoder: for the frames of `reference`.

    Raises:
        Whatever `measure` and `encoder` raise.
    """
    curves: dict[str, list[RdPoint]] = {}
    for file in files:
        with file.open() as frames:
            quality = measure(file.path.name, frames, file.size)
        point = RdPoint(name=file.path.name, size=file.size, target=file.size, quality=quality)
        curves.setdefault(file.architecture, []).append(point)
    neural = [RdCurve(name=name, neural=True, points=_rising(points)) for name, points in curves.items()]
    known = [point for curve in neural for point in curve.points]
    anchors = [
        RdCurve(name=wish.name, neural=False, points=_rising(_Ladder(wish, encoder, measure).climb(known)))
        for wish in wishes
    ]
    return RdStudy(clip=clip, spec=reference.spec, measures=tuple(measures), curves=(*neural, *anchors))


class _Ladder:
    """The points of one anchor."""

    def __init__(self, wish: AnchorWish, encoder: AnchorEncoder, measure: Measure) -> None:
        self._wish, self._encoder, self._measure = wish, encoder, measure

    def climb(self, known: Sequence[RdPoint]) -> list[RdPoint]:
        """Return the points that the files `known` call for."""
        sizes = sorted({point.size for point in known})
        points = [self._point(size) for size in (max(1, sizes[0] // 2), *sizes, 2 * sizes[-1])]
        worst, best = (pick(point.quality["psnr"] for point in known) for pick in (min, max))
        low, high = points[0], points[-1]
        for _ in range(_MOST_EXTENSIONS):
            if low.quality["psnr"] <= worst or _beyond(low):
                break
            low = self._point(max(1, low.target // 2))
            points.append(low)
        for _ in range(_MOST_EXTENSIONS):
            if high.quality["psnr"] >= best or _beyond(high):
                break
            high = self._point(2 * high.target)
            points.append(high)
        return points

    def _point(self, target: int) -> RdPoint:
        """Encode and measure one size."""
        anchor: Anchor = self._encoder.at_size(self._wish.codec, target, preset=self._wish.preset)
        with open_source(anchor.path) as frames:
            quality = self._measure(f"{self._wish.name}, {anchor.size} bytes", frames, anchor.size)
        return RdPoint(name=f"CRF {anchor.crf:g}", size=anchor.size, target=target, quality=quality)


def _beyond(point: RdPoint) -> bool:
    """Return whether an anchor could not come near its target."""
    return abs(point.size / point.target - 1) > _OUT_OF_REACH


def _rising(points: Sequence[RdPoint]) -> tuple[RdPoint, ...]:
    """Return points by size; of several with one size, the one that was asked for something nearest to it."""
    by_nearness = sorted(points, key=lambda point: -abs(point.target - point.size))
    return tuple(point for _, point in sorted({point.size: point for point in by_nearness}.items()))
