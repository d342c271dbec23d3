"""Plain callbacks by name: how the player tells whoever listens, without Qt."""

from collections.abc import Callable

__all__ = ["EVENTS", "Events"]

EVENTS = ("clip", "frame", "message", "metrics", "options", "preparing", "probe", "transport", "view")
"""clip: what is open, or a figure of it. frame: another picture is on the screen. message: a line for the user.
metrics: new values. options: settings and switches. preparing: how far a precision is made ready. probe: another pixel
under the cursor. transport: playing, speed, loop. view: mode, zoom, wipe, gain, measured region."""


class Events:
    """Listeners by event; all calls are made on one thread."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Callable[[], None]]] = {name: [] for name in EVENTS}

    def on(self, name: str, listener: Callable[[], None]) -> None:
        """Call `listener` on every event `name`.

        Raises:
            KeyError: no such event; a mistake of ours.
        """
        self._listeners[name].append(listener)

    def emit(self, name: str) -> None:
        """Call all listeners of `name`, in the order they came."""
        for listener in self._listeners[name]:
            listener()
