"""Decoding ahead of the caller."""

import gc
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from nervplay.decode.frame_lock import FrameLock
from nervplay.decode.prefetch import ahead


def stream(decode, indices, setting=lambda: 0):
    return ahead(decode, indices, threading.Event(), setting)


def test_order_and_one_in_advance() -> None:
    asked = []
    second = threading.Event()

    def decode(index: int) -> int:
        asked.append(index)
        if len(asked) == 2:
            second.set()
        return index * 10

    items = stream(decode, [3, 1, 2])
    assert next(items) == 30
    assert second.wait(5), "the next one is decoded while the caller works"
    assert asked == [3, 1]
    assert list(items) == [10, 20]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("nervplay-ahead")]


def test_errors_come_at_their_turn() -> None:
    def decode(index: int) -> int:
        if index == 9:
            raise ValueError("nine")
        return index

    items = stream(decode, [1, 9, 2])
    assert next(items) == 1
    with pytest.raises(ValueError, match="nine"):
        next(items)


def test_a_change_of_setting_makes_the_waiting_item_again() -> None:
    now = [0]
    items = stream(lambda index: (index, now[0]), [1, 2], lambda: now[0])
    assert next(items) == (1, 0)
    now[0] = 1
    assert next(items) == (2, 1)


def test_cancel_and_close_leave_no_thread() -> None:
    cancelled = threading.Event()
    items = ahead(lambda index: index, iter(range(1000)), cancelled, lambda: 0)
    next(items)
    cancelled.set()
    assert list(items) == []
    items = stream(lambda index: index, iter(range(1000)))
    next(items)
    items.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("nervplay-ahead")]


class Ring:
    """Refers to itself, so that only the collector ends what it holds."""

    def __init__(self, held: Iterator[int]) -> None:
        self.held, self.me = held, self


@pytest.fixture
def _collected_on_demand() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def no_stream_is_left() -> bool:
    """Return whether the threads of streams end, those that nobody waited for included."""
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("nervplay-ahead")]
    for thread in threads:
        thread.join(20)
    return not any(thread.is_alive() for thread in threads)


@pytest.mark.usefixtures("_collected_on_demand")
def test_a_lost_stream_is_collected_by_a_thread_that_has_its_lock() -> None:
    lock = FrameLock()

    def decode(index: int) -> int:
        with lock:
            return index

    def collect() -> None:
        with ExitStack() as held:

            def indices() -> Iterator[int]:
                yield 0
                held.enter_context(lock)  # by the thread that asks; the stream's own waits for it with frame 1
                yield 1

            ring = Ring(stream(decode, indices()))
            next(ring.held)
            del ring
            gc.collect()

    collecting = threading.Thread(target=collect, daemon=True)
    collecting.start()
    collecting.join(20)
    assert not collecting.is_alive(), "it does not wait for the stream"
    assert no_stream_is_left()


@pytest.mark.usefixtures("_collected_on_demand")
def test_a_lost_stream_is_collected_by_its_own_thread() -> None:
    lost, found = threading.Event(), []

    def decode(index: int) -> int:
        if index == 1:
            lost.wait(20)
            found.append(gc.collect())
        return index

    ring = Ring(stream(decode, [0, 1]))
    next(ring.held)
    del ring
    lost.set()
    assert no_stream_is_left()
    assert found, "pytest fails where ending it raises"
