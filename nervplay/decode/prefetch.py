"""Decoding the next frame while the caller works with this one."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["ahead"]

Index = TypeVar("Index")
Item = TypeVar("Item")


def ahead(
    decode: Callable[[Index], Item], indices: Iterable[Index], cancelled: threading.Event, setting: Callable[[], int]
) -> Iterator[Item]:
    """Yield decode(index) for all indices, one of them in advance.

    Args:
        decode: safe to be called from another thread while the caller calls it, too.
        indices: of frames, or whatever else `decode` takes, in order.
        cancelled: ends the stream before its next item.
        setting: how often what the result depends on has changed; an item from before a change is made again.

    Raises:
        Exception: what `decode` raised, when the item's turn comes.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="nervplay-ahead") as worker:
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
            worker.shutdown(wait=True, cancel_futures=True)
