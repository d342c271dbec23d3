"""What the player wants of the Hub: one function that turns an address into a file.

`models_hub` is imported with the first address, so that the player starts without it.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

__all__ = ["Fetch", "Fetched", "fetch", "set_fetch"]


class Fetched(NamedTuple):
    """A file from the Hub.

    Args:
        path: the .nerv file in the cache; read it, never write to it.
        address: its address with the commit in it: what a session keeps.
    """

    path: Path
    address: str


Fetch = Callable[[str, threading.Event, Callable[[str], None]], Fetched]
"""(address, set to stop, told in words how far it is) -> the .nerv file."""

_fetch: list[Fetch] = []


def set_fetch(function: Fetch) -> None:
    """Let `function` fetch files from the Hub from now on."""
    _fetch[:] = [function]


def fetch(address: str, cancelled: threading.Event, progress: Callable[[str], None]) -> Fetched:
    """Return the file at an address on the Hub, fetched unless it is here already.

    Args:
        address: hf://user/name, as `models_hub.parse_address` reads it.
        cancelled: set from another thread to stop.
        progress: told in words how far it is, and when something is tried again.

    Raises:
        CapabilityError: the Hub's library is not installed; the message names it.
        RemoteError: network or Hub failed.
    """
    if _fetch:
        return _fetch[0](address, cancelled, progress)
    from app.core.hub_browser import hub_fetch  # noqa: PLC0415 - see the head of this module
    from models_hub import Hub  # noqa: PLC0415

    return hub_fetch(Hub(notice=progress))(address, cancelled, progress)
