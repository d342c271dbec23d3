"""Player to session and back. Sources are opened first; place, loop and view follow when all of them are there."""

from fractions import Fraction

from app.core.player import Player
from app.core.session import Session
from app.core.view import View

__all__ = ["Restoring", "capture"]


def capture(player: Player) -> Session:
    """Return what is open and how it is looked at."""
    return Session(
        sources=tuple(slot.ref for slot in player.slots),
        offsets=tuple(slot.offset for slot in player.slots),
        precisions=tuple(slot.precision for slot in player.slots),
        view=View.from_json(player.view.to_json()),
        frame=player.transport.frame,
        range=player.transport.range,
        speed=player.transport.speed.as_integer_ratio(),
    )


class Restoring:
    """Brings a session back; a source that cannot be opened is told and left out.

    Args:
        player: whose sources are replaced.
    """

    def __init__(self, player: Player) -> None:
        self._player = player
        self._session: Session | None = None
        player.events.on("clip", self._look)

    def start(self, session: Session) -> None:
        """Open the sources of a session in place of what is open."""
        player = self._player
        player.close_all()
        self._session = session
        for slot, ref, precision, offset in zip(
            player.slots, session.sources, session.precisions, session.offsets, strict=True
        ):
            if ref is not None:
                player.open(slot, ref, precision=precision, offset=offset)
        player.view.__dict__.update(session.view.__dict__)
        player.events.emit("view")

    def _look(self) -> None:
        """Set place and loop once nothing is being opened any more; where nothing could be, they are forgotten."""
        session, player = self._session, self._player
        if session is None or any(slot.opening for slot in player.slots):
            return
        self._session = None
        if not player.has_clip:
            return
        if session.range is not None:
            player.transport.set_range(*session.range)
        player.transport.set_speed(Fraction(*session.speed))
        player.seek(session.frame)
