"""Ctrl-C as a question that the training loop asks after each step, instead of an exception anywhere."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["stop_on_signals"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Turn SIGINT and SIGTERM into a flag while the block runs; the previous handlers come back after it.

    The first signal sets the flag. The second one raises KeyboardInterrupt at once: nobody has to wait for the step. So
    does one that comes before the flag was ever looked at: nothing has been done yet that would have to be saved.

    Yields:
        A function that tells whether a signal has come; the `stop` of `fit`.

    Raises:
        ValueError: called outside the main thread, where Python lets nobody handle signals.
    """
    received: list[int] = []
    asked = False

    def handle(number: int, _frame: FrameType | None) -> None:
        if received or not asked:
            raise KeyboardInterrupt
        received.append(number)

    def stop() -> bool:
        nonlocal asked
        asked = True
        return bool(received)

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
