"""The bundled sample: a clip and the neural video that was fitted to it.

It lies under app/resources/samples in an installed package and under samples/ in a checkout.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nervplay.errors import MissingInputError

__all__ = ["CLIP", "FOLDERS", "VIDEO", "Sample", "find_sample"]

CLIP = "bigbuckbunny.mp4"
"""The source: 132 frames, 1280x720, with sound."""

VIDEO = "bunny-320x180.nerv"
"""The neural video that `nervplay demo` shows."""

_APP = Path(__file__).resolve().parent.parent
FOLDERS = (_APP / "resources" / "samples", _APP.parent / "samples")
"""Where the sample may lie, best first."""


class Sample(NamedTuple):
    """A neural video and its source clip."""

    video: Path
    clip: Path


def find_sample(folders: Sequence[Path] = FOLDERS) -> Sample:
    """Return the sample in the first of `folders` that has both of its files.

    Raises:
        MissingInputError: no folder has both.
    """
    for folder in folders:
        sample = Sample(folder / VIDEO, folder / CLIP)
        if sample.video.is_file() and sample.clip.is_file():
            return sample
    places = " and ".join(str(folder) for folder in folders)
    raise MissingInputError(
        f"the bundled sample ({VIDEO} and {CLIP}) is not in {places}; install nervplay again,"
        " or fit a clip of your own with `nervplay encode`"
    )
