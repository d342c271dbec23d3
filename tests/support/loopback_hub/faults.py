"""What can go wrong with an answer, planted by tests."""

import re
from dataclasses import dataclass, field

__all__ = ["Fault"]


@dataclass(kw_only=True)
class Fault:
    """A fault for the requests that `match` finds.

    Args:
        match: regular expression on "METHOD path", begun at its start.
        status: answer with this status instead of serving.
        headers: of that answer; without `status`, put over the headers of the true answer.
        body: of that answer.
        times: how many requests it hits; -1 for all.
        cut_after: serve, but drop the connection after so many bytes of the body.
        reset: drop it with a TCP reset instead of an orderly close.
        stall_after: serve so many bytes of the body, then say nothing more.
        corrupt: serve, with one bit of the last byte turned.
        silence: seconds before the answer begins.
        trickle: bytes every 20 ms.
    """

    match: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    times: int = 1
    cut_after: int | None = None
    reset: bool = False
    stall_after: int | None = None
    corrupt: bool = False
    silence: float = 0.0
    trickle: int = 0

    def hits(self, request: str) -> bool:
        """Return whether the fault is for `request`, and count it."""
        if not self.times or not re.match(self.match, request):
            return False
        self.times -= 1
        return True
