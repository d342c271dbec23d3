"""Decoding ahead of the caller."""

import threading

import pytest

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
