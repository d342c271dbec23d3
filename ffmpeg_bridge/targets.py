"""What an export can be written as, by the ending of its name."""

from dataclasses import dataclass, field
from pathlib import Path

from nervplay.choices import EXPORT_SUFFIXES
from nervplay.errors import UsageError

__all__ = ["Target", "find_target"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A container and what goes into it when nothing else is asked for.

    Args:
        container: FFmpeg's name of its writer.
        encoder: the usual encoder.
        automatic: encoders that "auto" tries, best first.
        lossless: encoder of frames that must come back bit for bit; "" where there is none.
        sound: whether it holds sound.
        options: for the writer.
    """

    container: str
    encoder: str = "libx264"
    automatic: tuple[str, ...] = ("h264_nvenc", "libx264")
    lossless: str = "libx264rgb"
    sound: bool = True
    options: dict[str, str] = field(default_factory=dict)


_FAST_START = {"movflags": "+faststart"}
_TARGETS = {
    ".mp4": Target(container="mp4", options=_FAST_START),
    ".mov": Target(container="mov", options=_FAST_START),
    ".mkv": Target(container="matroska", lossless="ffv1"),
    ".webm": Target(container="webm", encoder="libvpx-vp9", automatic=("libvpx-vp9",), lossless="libvpx-vp9"),
    ".gif": Target(container="gif", encoder="gif", automatic=("gif",), lossless="", sound=False),
    ".png": Target(container="png", encoder="png", automatic=("png",), lossless="png", sound=False),
}


def find_target(out: Path) -> Target:
    """Return what the ending of a name asks for.

    Raises:
        UsageError: another ending.
    """
    target = _TARGETS.get(out.suffix.lower())
    if target is None:
        endings = ", ".join(EXPORT_SUFFIXES)
        raise UsageError(f"{out} ends in '{out.suffix}'; an export is written as one of {endings}")
    return target
