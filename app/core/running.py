"""Work of a child process as the player's state sees it: something that can be stopped."""

from typing import Protocol

__all__ = ["Stop"]


class Stop(Protocol):
    """Stops work that goes on elsewhere; whoever started it hears nothing of it any more. Idempotent."""

    def __call__(self, *, wait: bool) -> None:
        """Ask it to clean up and end.

        Args:
            wait: return only when it has; for a window that closes, for this may take seconds.
        """
        ...
