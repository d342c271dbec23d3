"""Other people's programs: find them, run them in our place, and let signals and exit codes through."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from nervplay.errors import CapabilityError

__all__ = ["find_program", "loopback_environment", "run_program"]

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_INSTALL = "install it (Debian: apt-get install {name}) or name one with --program PATH"


def find_program(name: str) -> str:
    """Return the path of a program by name or path.

    Raises:
        CapabilityError: there is none.
    """
    found = shutil.which(name)
    if found is None:
        raise CapabilityError(f"no program '{name}' here; {_INSTALL.format(name=os.path.basename(name))}")  # noqa: PTH119
    return found


def loopback_environment() -> dict[str, str]:
    """Return this process's environment, changed so that no proxy stands between a program and this machine."""
    around = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    return dict(os.environ) | {"no_proxy": ",".join(filter(None, [around, "127.0.0.1"]))}


def run_program(command: Sequence[str]) -> int:
    """Run a program to its end on our standard streams; return its exit code, 128 + n when signal n ended it.

    Signals that would end us go to the program, which ends as it sees fit. A Ctrl-C at a terminal reaches it without
    our help.

    Raises:
        CapabilityError: the program cannot be started.
    """
    with _forwarding() as started:
        try:
            process = subprocess.Popen(list(command), env=loopback_environment())  # noqa: S603 - what the user asked for
        except OSError as error:
            raise CapabilityError(
                f"{command[0]} cannot be started ({error.strerror}); name another: --program"
            ) from error
        with process:
            started(process)
            code = process.wait()
    return code if code >= 0 else 128 - code


@contextmanager
def _forwarding() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Keep signals for a process while the block runs; they are sent to it as soon as it is made known.

    The handlers are there before the program is: no signal falls between.

    Yields:
        A function that takes the process.
    """
    programs: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def forward(number: int, _frame: FrameType | None) -> None:
        if number in (signal.SIGINT, signal.SIGQUIT) and _in_foreground():
            return
        if programs:
            programs[0].send_signal(number)
        else:
            early.append(number)

    def started(process: subprocess.Popen[bytes]) -> None:
        programs.append(process)
        for number in early:
            process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield started
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_foreground() -> bool:
    """Return whether keys at a terminal send signals to our process group."""
    with suppress(OSError):
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
        try:
            return os.tcgetpgrp(terminal) == os.getpgrp()
        finally:
            os.close(terminal)
    return False
