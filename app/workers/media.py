"""An opened source as a decode thread uses it: pictures by key, in the form that canvases take."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from app.core.cache import Key, Picture
from app.core.facts import MediaFacts
from app.core.slot import Alignment
from nervplay.errors import CapabilityError
from nervplay.video.source import Frame, FrameSource

__all__ = ["ClipMedia", "Media", "to_picture"]


def to_picture(frame: Frame) -> Picture:
    """Return a frame as canvases take it.

    Args:
        frame: uint8 (H, W, 3) RGB.

    Returns:
        uint8 (H, W, 4), a new array: R G B 255.
    """
    height, width, _ = frame.shape
    picture: Picture = np.empty((height, width, 4), np.uint8)
    picture[..., :3] = frame
    picture[..., 3] = 255
    return picture


class Media(ABC):
    """A source that is open; one thread uses it.

    Args:
        facts: what is known of it.
        alignment: how other clips have to be cut to be compared with it.

    Attributes:
        calibrating: told how far it is, 0 .. 1, where a picture has to wait for a calibration of INT8.
    """

    def __init__(self, facts: MediaFacts, alignment: Alignment) -> None:
        self.facts = facts
        self.alignment = alignment
        self.calibrating: Callable[[float], None] = lambda _part: None

    @abstractmethod
    def picture(self, key: Key) -> Picture:
        """Return the picture of a key as uint8 (H, W, 4).

        Raises:
            NervplayError: it cannot be decoded.
        """

    @abstractmethod
    def close(self) -> None:
        """Release files, weights and memory of devices; idempotent."""

    def switch(self, precision: str, device: str) -> None:
        """Change arithmetic and device; `facts` say what is in use then.

        Raises:
            CapabilityError: this source has no network, or the machine cannot do it; everything stays as it was.
        """
        raise CapabilityError(f"{self.facts.title} is no neural video and has no precision {precision} on {device}")

    def slow(self, precision: str, device: str) -> bool:
        """Return whether a switch would keep the thread from decoding for long: `prepare` comes first then."""
        del precision, device
        return False

    def prepare(self, precision: str, progress: Callable[[float], None], stopped: threading.Event) -> None:
        """Make a precision of the present device ready, from another thread, while pictures go on being made.

        Nothing has to be done by default.

        Args:
            precision: for which `slow` is true.
            progress: told how far it is, 0 .. 1.
            stopped: when it is set, this ends early.

        Raises:
            NervplayError: it cannot be had; `switch` will say so, too.
            Interrupted: it was stopped.
        """
        del precision, progress, stopped

    @property
    def unprobed(self) -> bool:
        """Whether `probe` has anything left to find out; nothing by default."""
        return False

    @property
    def next_probe(self) -> str:
        """The precision that `probe` tries next."""
        return ""

    def probe(self) -> bool:
        """Find out one thing that `switch` would refuse; True where `facts` changed."""
        return False

    def time_stages(self) -> tuple[tuple[str, float], ...]:
        """Return milliseconds per stage of the network; nothing for a clip."""
        return ()


class ClipMedia(Media):
    """A video file or a folder of pictures.

    Args:
        source: its frames; closed with it.
        facts: what is known of it.
    """

    def __init__(self, source: FrameSource, facts: MediaFacts) -> None:
        super().__init__(facts, Alignment(source.spec))
        self._source = source

    def picture(self, key: Key) -> Picture:
        """Return the picture of a frame, uint8 (H, W, 4); a position between frames shows the earlier one.

        Raises:
            VideoInputError: it cannot be read.
        """
        return to_picture(self._source.frame(int(key)))

    def close(self) -> None:
        """Close the file."""
        self._source.close()
