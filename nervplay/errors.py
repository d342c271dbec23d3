"""The whole exception tree of nervplay; drawn here, raised everywhere.

    NervplayError                      exit  also a
    ├── UsageError                     2     ValueError     the call itself is wrong
    │   ├── UnknownNameError           2     LookupError    preset, architecture, format, ... (names the nearest)
    │   ├── FrameIndexError            2     IndexError     frame outside the clip
    │   └── GeometryError              2                    frame size that a network or pixel format cannot have
    ├── InputError                     3     ValueError     a file that cannot be used
    │   ├── MissingInputError          3     FileNotFoundError
    │   ├── VideoInputError            3                    no video stream, no frames, undecodable
    │   ├── BitstreamError             3                    not a .nerv, truncated, altered
    │   │   └── VersionError           3                    made by a newer nervplay
    │   └── CheckpointError            3                    an official checkpoint or a resume file that does not fit
    ├── OutputError                    4     OSError        a target that cannot be written
    │   └── OutputExistsError          4     FileExistsError
    ├── RemoteError                    5     OSError        network or Hub
    ├── CapabilityError                6     RuntimeError   GPU, encoder or optional package that is not here
    └── Interrupted                    130                  stopped by the user; what was done is saved

Every message is one line and names the value, the rule and the way out. `exit_code` is what the command line ends with.
"""

import difflib
from collections.abc import Iterable
from fractions import Fraction
from typing import ClassVar

__all__ = [
    "BitstreamError",
    "CapabilityError",
    "CheckpointError",
    "FrameIndexError",
    "GeometryError",
    "InputError",
    "Interrupted",
    "MissingInputError",
    "NervplayError",
    "OutputError",
    "OutputExistsError",
    "RemoteError",
    "UnknownNameError",
    "UsageError",
    "VersionError",
    "VideoInputError",
]


class NervplayError(Exception):
    """Base of all errors that nervplay raises on purpose."""

    exit_code: ClassVar[int] = 1


class UsageError(NervplayError, ValueError):
    """The call itself is wrong: an option, a value or a combination."""

    exit_code = 2


class UnknownNameError(UsageError, LookupError):
    """A name that no registry knows; the message offers the nearest known names.

    Args:
        kind: what was looked up, in the singular ("preset", "architecture").
        name: what was asked for.
        known: all names that would have been right.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        choices = sorted(known)
        near = difflib.get_close_matches(str(name), choices, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(choices)}"
        super().__init__(f"unknown {kind} '{name}'; {hint}")
        self.kind, self.name = kind, name


class FrameIndexError(UsageError, IndexError):
    """A frame index outside the clip.

    Args:
        index: the index asked for, or the position between two frames.
        frame_count: number of frames of the clip.
    """

    def __init__(self, index: int | Fraction, frame_count: int) -> None:
        super().__init__(f"frame {index} is outside the clip; its frames are 0 to {frame_count - 1}")
        self.index, self.frame_count = index, frame_count


class GeometryError(UsageError):
    """A frame size that a network or a pixel format cannot have."""


class InputError(NervplayError, ValueError):
    """An input file that cannot be used."""

    exit_code = 3


class MissingInputError(InputError, FileNotFoundError):
    """An input file that does not exist or cannot be opened."""


class VideoInputError(InputError):
    """A file without a video stream, without frames, or that cannot be decoded."""


class BitstreamError(InputError):
    """Bytes that are not a sound .nerv file."""


class VersionError(BitstreamError):
    """A sound file of a newer format than this version reads."""


class CheckpointError(InputError):
    """An official checkpoint or a resume file that does not fit."""


class OutputError(NervplayError, OSError):
    """A target that cannot be written: folder missing or read-only, disk full."""

    exit_code = 4


class OutputExistsError(OutputError, FileExistsError):
    """The target exists and nobody asked to replace it."""


class RemoteError(NervplayError, OSError):
    """A failure of the network or of the Hub."""

    exit_code = 5


class CapabilityError(NervplayError, RuntimeError):
    """Something this machine or installation does not have: GPU, encoder, optional package."""

    exit_code = 6


class Interrupted(NervplayError):  # noqa: N818 - it is an outcome, not a fault
    """The user stopped the work; what was done so far is saved."""

    exit_code = 130
