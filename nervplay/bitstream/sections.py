"""Names of the chunks of a .nerv file, and which of them a head calls for (clause 3.4)."""

from collections.abc import Iterable, Iterator
from typing import Final

from nervplay.bitstream.box import IGNORABLE
from nervplay.bitstream.head import Head
from nervplay.bitstream.refusal import damaged, newer

__all__ = [
    "AUDIO",
    "HEAD",
    "MAPS",
    "POSTER",
    "SCALES",
    "calibration_section",
    "check_sections",
    "float_section",
    "is_calibration",
    "segment_section",
]

HEAD: Final = "head.z"
SCALES: Final = "scales"
MAPS: Final = "maps"
AUDIO: Final = "audio"
POSTER: Final = "poster.webp"
_KNOWN: Final = (HEAD, SCALES, MAPS, AUDIO, POSTER)
_KNOWN_PREFIXES: Final = ("seg.", "f.")
_CALIBRATION: Final = f"{IGNORABLE}int8."


def segment_section(number: int) -> str:
    """Return the name of the coded weights of segment `number`: "seg.0000"."""
    return f"seg.{number:04d}"


def calibration_section(number: int) -> str:
    """Return the name of the calibration of segment `number`: "x.int8.0000"."""
    return f"{_CALIBRATION}{number:04d}"


def is_calibration(name: str) -> bool:
    """Return whether a chunk of this name is the calibration of a segment."""
    return name.startswith(_CALIBRATION)


def float_section(number: int, tensor: str) -> str:
    """Return the name of a plain float32 tensor of segment `number`: "f.0000.<name>"."""
    return f"f.{number:04d}.{tensor}"


def _required(head: Head, *, maps: bool) -> Iterator[str]:
    """Yield the names that a file of this head has; a poster is the one thing that may be there or not.

    Args:
        head: the head.
        maps: whether float16 maps are coded.
    """
    yield HEAD
    types = {tensor.scale_dtype for segment in head.segments for tensor in segment.tensors} - {None}
    if maps and "F16" in types:
        yield MAPS
        types.remove("F16")
    if types:
        yield SCALES
    for number, segment in enumerate(head.segments):
        if any(not tensor.is_float for tensor in segment.tensors):
            yield segment_section(number)
        yield from (float_section(number, tensor.name) for tensor in segment.tensors if tensor.is_float)
    if head.audio is not None:
        yield AUDIO


def check_sections(head: Head, names: Iterable[str]) -> None:
    """Check that a file has the chunks that its head calls for, and no others but `poster.webp` and `x.`.

    Raises:
        VersionError: a chunk of a kind that this version does not know.
        BitstreamError: a chunk that is missing or that the head does not mention.
    """
    present = {name for name in names if not name.startswith(IGNORABLE)}
    for name in present:
        if name not in _KNOWN and not name.startswith(_KNOWN_PREFIXES):
            raise newer(f"the file has the section '{name[:40]}'")
    required = set(_required(head, maps=MAPS in present))
    for name in sorted(required - present):
        raise damaged(f"the chunk '{name}' is missing")
    for name in sorted(present - required - {POSTER}):
        raise damaged(f"the head does not mention the chunk '{name}'")
