"""A session: what is open and how it is looked at, as a small JSON file; nothing decoded is in it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.core.sources import SourceRef
from app.core.view import View
from nervplay.bitstream.atomic import atomic_write
from nervplay.errors import InputError, MissingInputError, UsageError, VersionError

__all__ = ["SUFFIX", "Session", "load_session", "save_session"]

SUFFIX = ".nvsession"

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Session:
    """What a session keeps.

    Args:
        sources: by slot, "A" to "D"; None where nothing is open.
        offsets: frames by which each slot is shifted.
        precisions: by slot; empty for the default.
        view: how it is looked at.
        frame: the frame on the screen.
        range: first and last frame of the loop, or None.
        speed: numerator and denominator.
    """

    sources: tuple[SourceRef | None, ...]
    offsets: tuple[int, ...] = (0, 0, 0, 0)
    precisions: tuple[str, ...] = ("", "", "", "")
    view: View = field(default_factory=View)
    frame: int = 0
    range: tuple[int, int] | None = None
    speed: tuple[int, int] = (1, 1)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-plain dict."""
        return {
            "nervplay_session": _VERSION,
            "sources": [source.to_json() if source else None for source in self.sources],
            "offsets": list(self.offsets),
            "precisions": list(self.precisions),
            "view": self.view.to_json(),
            "frame": self.frame,
            "range": list(self.range) if self.range else None,
            "speed": list(self.speed),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Session":
        """Return the session that `to_json` wrote.

        Raises:
            InputError: data of another form.
            VersionError: a session of a newer version.
        """
        try:
            _check_version(int(data["nervplay_session"]))
            kept = data.get("range")
            numerator, denominator = (int(part) for part in data["speed"])
            sources = tuple(SourceRef.from_json(item) if item else None for item in data["sources"])
            slots = {len(sources), len(data["offsets"]), len(data["precisions"])}
            if denominator < 1 or numerator < 1 or slots != {4}:
                raise ValueError("speed or number of sources")  # noqa: TRY301 - one way out for all unsound sessions
            return cls(
                sources=sources,
                offsets=tuple(int(value) for value in data["offsets"]),
                precisions=tuple(str(value) for value in data["precisions"]),
                view=View.from_json(data["view"]),
                frame=int(data["frame"]),
                range=(int(kept[0]), int(kept[1])) if kept else None,
                speed=(numerator, denominator),
            )
        except VersionError:
            raise
        except (KeyError, IndexError, TypeError, ValueError, UsageError, AttributeError) as error:
            raise InputError(f"the session is not sound: {error}; open the files again and save it anew") from None


def _check_version(version: int) -> None:
    if version > _VERSION:
        raise VersionError(f"the session is of version {version}, this nervplay reads {_VERSION}: update it")


def load_session(path: Path) -> Session:
    """Read a session.

    Args:
        path: a file that `save_session` wrote.

    Raises:
        MissingInputError: it cannot be opened.
        InputError: it is no session; `VersionError` for one of a newer version.
    """
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise MissingInputError(f"{path} cannot be opened: {error.strerror}") from None
    except ValueError:
        raise InputError(f"{path} is no session; give a file that ends in {SUFFIX}") from None
    if not isinstance(data, dict) or "nervplay_session" not in data:
        raise InputError(f"{path} is no session; give a file that ends in {SUFFIX}")
    return Session.from_json(data)


def save_session(session: Session, path: Path) -> None:
    """Write a session, whole or not at all.

    Args:
        session: what to keep.
        path: the target; an existing one is replaced.

    Raises:
        OutputError: it cannot be written.
    """
    atomic_write(path, (json.dumps(session.to_json(), indent=2) + "\n").encode(), overwrite=True)
