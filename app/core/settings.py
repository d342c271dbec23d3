"""Settings of the player: one JSON file, versioned; older ones are brought up to date, unsound ones set aside.

$XDG_CONFIG_HOME/nervplay/player.json (~/.config where that is not set)
"""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from nervplay.bitstream.atomic import atomic_write
from nervplay.errors import OutputError

__all__ = [
    "CANVASES",
    "MIGRATIONS",
    "MOST_CACHE_MB",
    "THEMES",
    "VERSION",
    "Settings",
    "load_settings",
    "save_settings",
    "settings_path",
]

VERSION = 2

CANVASES = ("auto", "gpu", "soft")
"""What paints: the GPU where there is one, always the GPU's way, QPainter."""

THEMES = ("system", "dark", "light")

MOST_CACHE_MB = 65_536
"""Most megabytes of decoded pictures that may be asked for."""

_RECENT = 12


@dataclass
class Settings:
    """What the player remembers.

    Args:
        theme: "system", "dark" or "light".
        canvas: "auto", "gpu" or "soft".
        cache_mb: megabytes of decoded pictures to keep, for all sources together.
        every_frame: show every frame, late if need be.
        metrics: compute quality in the background.
        vmaf: measure VMAF of whole clips, too.
        sound: play sound where there is some and a sound library is installed.
        device: device for networks.
        told: what was said once and is not said again.
        recent: sources opened lately, newest first, as text.
        keys: keys by command name that differ from the table's, several with commas; empty for none.
        window: geometry and docks as Qt saves them, in hexadecimal.
    """

    theme: str = "system"
    canvas: str = "auto"
    cache_mb: int = 512
    every_frame: bool = False
    metrics: bool = True
    vmaf: bool = False
    sound: bool = True
    device: str = "auto"
    told: list[str] = field(default_factory=list)
    recent: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    window: dict[str, str] = field(default_factory=dict)

    def remember(self, source: str) -> None:
        """Put a source at the head of the recent ones."""
        self.recent = [source, *(other for other in self.recent if other != source)][:_RECENT]


def settings_path() -> Path:
    """Return where the settings lie."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "nervplay" / "player.json"


def _split_cache(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 counted the cache per source."""
    data["cache_mb"] = 2 * int(data.pop("cache_mb_per_source", 256))
    return data


MIGRATIONS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _split_cache}
"""By version: what makes settings of that version into settings of the next."""


def load_settings(path: Path | None = None) -> tuple[Settings, str]:
    """Return the settings, and one line for the user where they could not be read as they were.

    A file of a newer version is read as far as it is known; `save_settings` keeps it.

    Args:
        path: the file; the user's when None.
    """
    path = path or settings_path()
    try:
        data = json.loads(path.read_bytes())
        if not isinstance(data, dict) or not isinstance(data.get("version"), int):
            raise ValueError("no version")  # noqa: TRY004, TRY301 - one way out for all unsound files
        for version in range(data["version"], VERSION):
            data = MIGRATIONS[version](data)
        return _checked(data), ""
    except FileNotFoundError:
        return Settings(), ""
    except (OSError, ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        words = f"the settings in {path} could not be read ({error}); the defaults are used"
        return Settings(), f"{words}, and that file is kept as {_aside(path).name}"


def _aside(path: Path) -> Path:
    """Return where settings are kept that this version cannot write again."""
    return path.with_name(f"{path.name}.kept")


def _keep_foreign(path: Path) -> None:
    """Move settings away that are not sound or of a newer version: somebody may want them back."""
    unsound = bool(load_settings(path)[1])
    with suppress(OSError):
        if unsound or json.loads(path.read_bytes())["version"] > VERSION:
            path.replace(_aside(path))


def _checked(data: Mapping[str, Any]) -> Settings:
    """Return settings from data, field by field; a value of another type keeps the default."""
    settings = Settings()
    for entry in fields(Settings):
        value, default = data.get(entry.name), getattr(settings, entry.name)
        if type(value) is type(default):
            setattr(settings, entry.name, value)
    settings.recent = [item for item in settings.recent if isinstance(item, str)][:_RECENT]
    settings.told = [item for item in settings.told if isinstance(item, str)]
    for name in ("keys", "window"):
        kept = {key: value for key, value in getattr(settings, name).items() if isinstance(value, str)}
        setattr(settings, name, kept)
    settings.cache_mb = min(MOST_CACHE_MB, max(0, settings.cache_mb))
    usual = Settings()
    if settings.theme not in THEMES:
        settings.theme = usual.theme
    if settings.canvas not in CANVASES:
        settings.canvas = usual.canvas
    return settings


def save_settings(settings: Settings, path: Path | None = None) -> None:
    """Write the settings, whole or not at all; a file that is newer or not sound is kept beside them.

    Args:
        settings: what to keep.
        path: the file; the user's when None.

    Raises:
        OutputError: the folder cannot be made or written to.
    """
    path = path or settings_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the settings folder {path.parent} cannot be made: {error.strerror}") from None
    _keep_foreign(path)
    text = json.dumps({"version": VERSION, **asdict(settings)}, indent=2) + "\n"
    atomic_write(path, text.encode(), overwrite=True)
