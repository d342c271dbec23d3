"""Decoding the next frame while the caller works with this one."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from nervplay.decode.base import DecoderBase
from nervplay.decode.frame_lock import make_frames_only, may_wait
from nervplay.video.source import Frame, Planes

__all__ = ["AheadDecoder", "ahead"]

Index = TypeVar("Index")
Item = TypeVar("Item")


def ahead(
    decode: Callable[[Index], Item], indices: Iterable[Index], cancelled: threading.Event, setting: Callable[[], int]
) -> Iterator[Item]:
    """Yield decode(index) for all indices, one of them in advance.

    Whoever ends it early waits for what is under way, unless that needs a `FrameLock` that the same thread has.

    Args:
        decode: safe to be called from another thread while the caller calls it, too.
        indices: of frames, or whatever else `decode` takes, in order.
        cancelled: ends the stream before its next item.
        setting: how often what the result depends on has changed; an item from before a change is made again.

    Raises:
        Exception: what `decode` raised, when the item's turn comes.
    """
    worker = ThreadPoolExecutor(1, thread_name_prefix="nervplay-ahead", initializer=make_frames_only)
    pending: tuple[Index, int, Future[Item]] | None = None
    following = iter(indices)
    try:
        while not cancelled.is_set():
            if pending is None:
                index = next(following, None)
                if index is None:
                    return
                pending = (index, setting(), worker.submit(decode, index))
            index, made_under, future = pending
            item = future.result()
            if made_under != setting():
                item = decode(index)
            upcoming = next(following, None)
            pending = None if upcoming is None else (upcoming, setting(), worker.submit(decode, upcoming))
            if cancelled.is_set():
                return
            yield item
            if upcoming is None:
                return
    finally:
        worker.shutdown(wait=may_wait(), cancel_futures=True)


class AheadDecoder(DecoderBase):
    """A decoder whose streams decode one frame in advance; its `frame` and `yuv_frame` may be called from two threads.

    `_changes` goes up with each change of the precision: a frame that was made in advance is made again then.
    """

    _changes = 0

    def frames(self, indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """Yield the frames at `indices` in that order, all frames when None; the next one is decoded meanwhile.

        Raises:
            FrameIndexError: an index outside 0 .. T - 1, when its turn comes.
            UsageError: the decoder is closed.
        """
        self._cancelled.clear()
        wanted = range(len(self)) if indices is None else indices
        return ahead(self.frame, wanted, self._cancelled, lambda: self._changes)

    def yuv_frames(self, targets: Iterable[tuple[int, Planes]]) -> Iterator[Planes]:
        """Fill planes with frames, one of them in advance; see `Decoder.yuv_frames`."""
        self._cancelled.clear()
        return ahead(lambda target: self.yuv_frame(*target), targets, self._cancelled, lambda: self._changes)
