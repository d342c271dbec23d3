"""Decoded pictures of one source: a short ring while playing, a whole clip where the memory budget allows it.

One structure does both: at most `capacity` pictures are kept, and the one that will be wanted last has to go. So a clip
that fits is decoded once and then plays at full speed however slow its decoder is.
"""

import threading
from collections.abc import Callable, Iterable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

__all__ = ["RING", "Key", "Picture", "PictureCache"]

RING = 8
"""Pictures that are kept whatever the budget: enough to decode ahead."""

Key = int | Fraction
"""Frame index, or a position between two frames."""

Picture = NDArray[np.uint8]
"""One picture as canvases take it: uint8 (H, W, 4), R G B 255, C-contiguous, never changed once it is in a cache."""


class PictureCache:
    """Pictures by frame index; every method may be called from any thread.

    Args:
        budget: bytes that pictures may take, beyond the ring that is always there.
    """

    def __init__(self, budget: int = 0) -> None:
        self.budget = budget
        self._pictures: dict[Key, Picture] = {}
        self._lost: set[Key] = set()
        self._lock = threading.Lock()
        self._generation = 0
        self._distance: Callable[[Key], float] = lambda key: 0.0  # noqa: ARG005 - nothing is known of the order yet

    @property
    def generation(self) -> int:
        """Counts `clear`: a picture that was begun before is of the past and is not taken."""
        return self._generation

    def capacity(self, size: int) -> int:
        """Return how many pictures of `size` bytes are kept."""
        return max(RING, self.budget // max(1, size))

    def put(self, key: Key, picture: Picture, generation: int | None = None) -> None:
        """Keep a picture; when there are too many, the one that will be wanted last goes, never this one.

        Args:
            key: what it shows.
            picture: uint8 (H, W, 4); the caller does not change it afterwards.
            generation: the cache's generation when decoding began; another one means the picture is of the past.
        """
        with self._lock:
            if generation is not None and generation != self._generation:
                return
            self._pictures[key] = picture
            while len(self._pictures) > self.capacity(picture.nbytes):
                distance = self._distance
                farthest = max((other for other in self._pictures if other != key), key=distance)
                del self._pictures[farthest]

    def get(self, key: Key) -> Picture | None:
        """Return the picture of `key`, or None."""
        with self._lock:
            return self._pictures.get(key)

    def __contains__(self, key: Key) -> bool:
        with self._lock:
            return key in self._pictures

    def __len__(self) -> int:
        return len(self._pictures)

    def missing(self, keys: Iterable[Key]) -> list[Key]:
        """Return those of `keys` that are not there and may still come, in their order."""
        with self._lock:
            return [key for key in keys if key not in self._pictures and key not in self._lost]

    def lose(self, key: Key, generation: int) -> None:
        """Note that the picture of `key` cannot be decoded; not of another generation."""
        with self._lock:
            if generation == self._generation:
                self._lost.add(key)

    def lost(self, key: Key) -> bool:
        """Return whether the picture of `key` could not be decoded."""
        with self._lock:
            return key in self._lost

    def try_again(self, key: Key) -> None:
        """Let a picture that could not be decoded be decoded again."""
        with self._lock:
            self._lost.discard(key)

    def head(self, frame: Key, direction: int, frame_count: int, wanted: Iterable[Key] = ()) -> None:
        """Say where playing is: what is wanted is kept longest, then what lies ahead.

        Args:
            frame: the frame on the screen.
            direction: 1 forward, -1 backward.
            frame_count: frames of the clip; playing goes round.
            wanted: what is being decoded, most wanted first: other sources need it, too, and may be slower.
        """
        ranks = {key: rank for rank, key in enumerate(wanted)}

        def distance(key: Key) -> float:
            if key in ranks:
                return ranks[key] - len(ranks)  # below all that is not wanted
            ahead = float((key - frame) * direction)
            # what has just passed comes again last of all, but a step back must not cost a decode
            return ahead if ahead >= 0 else min(frame_count + ahead, -4 * ahead)

        with self._lock:
            self._distance = distance

    def frames(self) -> list[int]:
        """Return the whole frames that are there, sorted: the bar on the timeline."""
        with self._lock:
            return sorted(key for key in self._pictures if isinstance(key, int))

    def clear(self) -> None:
        """Forget all: other weights, another precision or another clip."""
        with self._lock:
            self._pictures.clear()
            self._lost.clear()
            self._generation += 1
