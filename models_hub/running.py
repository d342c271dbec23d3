"""How a call to the Hub is run: stopped within a fifth of a second, tried again where that helps, errors explained."""

import contextvars
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import httpx2
from huggingface_hub import constants

from models_hub.client import Call, Refused, Unreachable, current_call
from models_hub.explain import explain, root_cause
from nervplay.errors import NervplayError

__all__ = ["Progress", "Runner", "again", "check_cancel", "is_offline_mode", "notify"]

Result = TypeVar("Result")
Progress = Callable[[int, int], None]
"""Told (bytes done, bytes in all)."""

_PAUSES = (0.5, 1.0, 2.0)
"""Seconds before the second, third and fourth try of a request that got 5xx; tests shorten them."""
_POLL = 0.05
_GRACE = 0.1
"""Seconds that the waiting thread looks for cancel after, and then gives the working thread to clean up."""


class Runner:
    """Runs calls for one `Hub`.

    Args:
        notice: told in one sentence when a call must wait or begins again.
    """

    def __init__(self, notice: Callable[[str], None]) -> None:
        self._notice = notice

    def run(self, work: Callable[[], Result], cancel: threading.Event | None = None) -> Result:
        """Return what `work` returns.

        With a cancel event the work is done in a thread of its own and the caller watches the event. Cancelled, the
        sockets are shut, which ends a blocked read; a thread that still waits for the system (a name server, a
        connection) ends by itself within seconds and sends nothing any more.

        Args:
            work: makes requests through the library.
            cancel: stops it.

        Raises:
            Interrupted: cancelled.
            NervplayError: whatever went wrong, explained.
        """
        with _entered(Call(cancel, self._notice)) as call:
            call.check()
            return work() if cancel is None else _watched(call, work, cancel)


@contextmanager
def _entered(call: Call) -> Iterator[Call]:
    token = current_call.set(call)
    try:
        yield call
    except NervplayError:
        raise
    except Exception as error:
        call.check()  # an error that comes of shut sockets is a cancel
        raise explain(error) from error
    finally:
        current_call.reset(token)
        call.close()


def _watched(call: Call, work: Callable[[], Result], cancel: threading.Event) -> Result:
    """Return what `work` returns, from a thread of its own, unless `cancel` is set before."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
            errors.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(body,), name="nervplay-hub", daemon=True)
    thread.start()
    try:
        while thread.is_alive() and not cancel.is_set():
            thread.join(_POLL)
    finally:  # the caller's own interrupt ends here, too
        if thread.is_alive():
            cancel.set()
            call.shut()
            thread.join(_GRACE)
    if thread.is_alive():
        call.check()
    if errors:
        raise errors[0]
    return results[0]


def check_cancel() -> None:
    """Raise `Interrupted` when the call of this context was cancelled."""
    call = current_call.get()
    if call is not None:
        call.check()


def notify(sentence: str) -> None:
    """Tell the user of the call of this context something in one sentence."""
    call = current_call.get()
    if call is not None:
        call.notice(sentence)


def again(request: Callable[[], Result]) -> Result:
    """Return what `request` returns, trying again what may pass: 5xx three times, a broken connection once.

    A 429 is never waited for: the user is told the seconds.

    Args:
        request: safe to repeat.
    """
    call = current_call.get()
    assert call is not None, "requests run in a Runner"
    breaks = 0
    pauses = iter(_PAUSES)
    while True:
        try:
            return request()
        except Exception as error:
            match root_cause(error):
                case Refused(status=status) if status != 429 and (pause := next(pauses, None)) is not None:
                    call.notice(f"the Hub has a problem of its own (error {status}); trying again in {pause:g} s")
                    call.wait(pause)
                case (Unreachable() | httpx2.TransportError()) as broken if not breaks:
                    breaks += 1
                    call.check()
                    call.notice(f"no answer from the Hub ({str(broken)[:80]}); trying again")
                    call.wait(_PAUSES[0])
                case _:
                    raise


def is_offline_mode() -> bool:
    """Return whether HF_HUB_OFFLINE forbids requests in this process."""
    return bool(constants.is_offline_mode())
