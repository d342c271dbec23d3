"""A neural video and its original: what was cut when the network was fitted is cut again when the two meet."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from ffmpeg_bridge import open_source
from nervplay.errors import BitstreamError, UsageError, VideoInputError
from nervplay.video import FrameSource, FrameTransform, VideoSpec, matched

__all__ = ["open_original", "recorded_transform", "sound_span", "source_record"]


def source_record(path: Path, transform: FrameTransform) -> dict[str, Any]:
    """Return what a .nerv file keeps of where its clip came from, JSON-plain.

    Args:
        path: the clip; only its name is kept.
        transform: how it was cut.
    """
    return {"name": path.name, "transform": transform.to_json()}


def recorded_transform(record: Mapping[str, Any]) -> FrameTransform:
    """Return the transform that `source_record` kept; one that does nothing where the file keeps none.

    Args:
        record: the `source` of a .nerv file, not to be trusted.

    Raises:
        BitstreamError: a record of another form.
    """
    kept = record.get("transform", {})
    if not isinstance(kept, dict):
        raise BitstreamError(f"the file's record of its source is not sound: '{kept}' is no transform; get it again")
    try:
        return FrameTransform.from_json(kept)
    except UsageError as error:
        raise BitstreamError(f"the file's record of its source is not sound: {error}; get it again") from None


def open_original(path: Path, record: Mapping[str, Any], spec: VideoSpec) -> FrameSource:
    """Open the original clip of a neural video, cut as it was for fitting unless it fits already.

    Args:
        path: the clip.
        record: the `source` of the .nerv file.
        spec: the clip that the .nerv file decodes to.

    Raises:
        MissingInputError, VideoInputError: a clip that cannot be opened.
        BitstreamError: a record of another form.
        GeometryError: a clip that fits neither as it is nor cut.
    """
    transform = recorded_transform(record)
    source = open_source(path)
    try:
        return matched(source, transform, spec)
    except BaseException:
        source.close()
        raise


def sound_span(path: Path, record: Mapping[str, Any], spec: VideoSpec) -> tuple[Fraction, Fraction | None]:
    """Return which sound of a clip belongs to the neural video: its start and its length, in seconds.

    Of a clip as long as the neural video all sound belongs to it, whatever packets overhang its last frame: the length
    is None then.

    Args:
        path: the clip; a file with nothing but sound counts as uncut, and is cut to the length of the video.
        record: the `source` of the .nerv file.
        spec: the clip that the .nerv file decodes to.

    Raises:
        BitstreamError: a record of another form.
    """
    kept = recorded_transform(record).frames
    try:
        with open_source(path) as source:
            if len(source) == spec.frame_count:
                return Fraction(0), None
            longer = len(source) > spec.frame_count
    except VideoInputError:
        longer = True
    return (kept[0] / spec.rate if kept and longer else Fraction(0)), spec.duration
