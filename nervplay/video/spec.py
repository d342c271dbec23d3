"""What a clip is: size, number of frames, rate and colour. Frozen, JSON-plain, free of torch."""

from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any

from nervplay.errors import GeometryError
from nervplay.plain import plain_numbers

__all__ = ["Colour", "VideoSpec", "default_colour"]


@dataclass(frozen=True, kw_only=True)
class Colour:
    """Colour description of a clip, in FFmpeg's names (`ffprobe -show_streams` prints the same words).

    RGB frames are always full range; `matrix` and `range` say how files made from them are converted and tagged.
    """

    matrix: str = "bt709"
    primaries: str = "bt709"
    transfer: str = "bt709"
    range: str = "tv"


def default_colour(height: int) -> Colour:
    """Return the colour of an untagged clip: BT.709 limited range from 720 lines, BT.601 (525 lines) below.

    Args:
        height: number of lines of the clip as it was distributed, before any crop or scale.
    """
    return Colour() if height >= 720 else Colour(matrix="smpte170m", primaries="smpte170m", transfer="smpte170m")


@dataclass(frozen=True, kw_only=True)
class VideoSpec:
    """Geometry, timing and colour of a clip.

    Args:
        width: columns, in pixels.
        height: rows, in pixels.
        frame_count: number of frames, at least 1.
        rate: frames per second; frame i is shown at i / rate seconds.
        colour: see `Colour`.
        sample_aspect: width of a pixel divided by its height.

    Raises:
        GeometryError: a size, count or rate that is not positive.
    """

    width: int
    height: int
    frame_count: int
    rate: Fraction
    colour: Colour = field(default_factory=Colour)
    sample_aspect: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        plain_numbers(self)
        for name in ("width", "height", "frame_count", "rate", "sample_aspect"):
            if getattr(self, name) <= 0:
                raise GeometryError(f"{name} {getattr(self, name)} of a clip must be positive")

    @property
    def duration(self) -> Fraction:
        """Length of the clip in seconds."""
        return self.frame_count / self.rate

    @property
    def pixels(self) -> int:
        """Pixels of the whole clip, W * H * T: the denominator of bits per pixel."""
        return self.width * self.height * self.frame_count

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-plain dict; fractions are [numerator, denominator]."""
        return {
            "width": self.width,
            "height": self.height,
            "frame_count": self.frame_count,
            "rate": list(self.rate.as_integer_ratio()),
            "colour": asdict(self.colour),
            "sample_aspect": list(self.sample_aspect.as_integer_ratio()),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "VideoSpec":
        """Return the spec that `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError, ZeroDivisionError: data of another shape; readers of untrusted files wrap
                these.
        """
        return cls(
            width=data["width"],
            height=data["height"],
            frame_count=data["frame_count"],
            rate=Fraction(*data["rate"]),
            colour=Colour(**data["colour"]),
            sample_aspect=Fraction(*data["sample_aspect"]),
        )
