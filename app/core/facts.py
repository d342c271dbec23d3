"""What is known of an opened source, free of the source itself: names and figures for inspector and tooltips."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nervplay.video.spec import VideoSpec

__all__ = ["Choice", "MediaFacts", "human_rate", "human_size"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A precision or a device that may be chosen.

    Args:
        name: as `nervplay.decode` has it.
        reason: why it cannot be chosen, in words for the user; empty when it can.
    """

    name: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class MediaFacts:
    """What is known of an opened source.

    Args:
        title: a short name for headings.
        kind: "video", "nerv", "official", "anchor".
        spec: the clip that comes out.
        file_bytes: size of the file; None for a folder of pictures.
        whole_size: (width, height) of a clip that is cut or scaled to `spec`, for a neural video; None of others.
        architecture: name of the network; empty for a video.
        parameters: numbers that decoding needs.
        pruned: share of the integer weights that are exactly the code of zero, 0 .. 1; None where that is not known.
        gflops: 10**9 operations per frame.
        stored_bits: number of stored values by their bits; 32 means plain floats.
        sections: bytes by part of the file.
        continuous_time: whether pictures between frames can be had.
        precisions, devices: what may be chosen; empty for a video.
        precision, device, backend: what is in use.
        has_audio: whether there is sound.
        sequential: whether rising order is much cheaper than any other, as in a video file.
        path: where the file lies now; empty where there is none.
        stamp: when the file was written, in nanoseconds; 0 where there is none. A file that was written anew is another
            one, whatever it is called.
        address: of a file from the Hub, with the commit in it: what opens the same file again.
    """

    title: str
    kind: str
    spec: VideoSpec
    file_bytes: int | None = None
    whole_size: tuple[int, int] | None = None
    architecture: str = ""
    parameters: int = 0
    pruned: float | None = None
    gflops: float = 0.0
    stored_bits: Mapping[int, int] = field(default_factory=dict)
    sections: Mapping[str, int] = field(default_factory=dict)
    continuous_time: bool = False
    precisions: tuple[Choice, ...] = ()
    devices: tuple[Choice, ...] = ()
    precision: str = ""
    device: str = ""
    backend: str = ""
    has_audio: bool = False
    sequential: bool = False
    path: str = ""
    stamp: int = 0
    address: str = ""

    @property
    def bits_per_pixel(self) -> float | None:
        """8 * file bytes / (W * H * T)."""
        return None if self.file_bytes is None else 8 * self.file_bytes / self.spec.pixels

    @property
    def kbit_per_second(self) -> float | None:
        """Bit rate of the whole file over its duration, in 1000 bits per second."""
        return None if self.file_bytes is None else float(8 * self.file_bytes / 1000 / self.spec.duration)


def human_size(count: int) -> str:
    """Return a size as people read it: "371 kB"."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"


def human_rate(kbit: float) -> str:
    """Return a bit rate as people read it: "562 kbit/s", "1.66 Mbit/s"."""
    return f"{kbit / 1000:.3g} Mbit/s" if kbit >= 1000 else f"{kbit:.3g} kbit/s"
