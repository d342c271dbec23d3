"""Entries for the desktop: the player in the menu of programs, .nerv as a file type that opens in it (freedesktop.org).

$XDG_DATA_HOME/applications/nervplay.desktop
$XDG_DATA_HOME/mime/packages/nervplay.xml
$XDG_DATA_HOME/icons/hicolor/scalable/apps/nervplay.svg
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from nervplay.bitstream.atomic import atomic_write
from nervplay.errors import OutputError

__all__ = ["MIME_TYPE", "data_home", "entries", "install", "remove"]

MIME_TYPE = "video/x-nerv"

_DESKTOP = """[Desktop Entry]
Type=Application
Name=nervplay
GenericName=Neural video player
Comment=Look at neural video beside its source
Exec={program} play %F
Icon=nervplay
Terminal=false
Categories=AudioVideo;Video;Player;
MimeType={mime};video/mp4;video/x-matroska;
StartupWMClass=nervplay
"""

_MIME = """<?xml version="1.0" encoding="UTF-8"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="{mime}">
    <comment>Neural video</comment>
    <icon name="nervplay"/>
    <glob pattern="*.nerv"/>
  </mime-type>
</mime-info>
"""

_ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">
  <rect width="64" height="64" rx="12" fill="#131518"/>
  <path d="M8 12h24v40H8z" fill="#4c8dff"/>
  <path d="M32 12h24v40H32z" fill="#4cc38a"/>
  <path d="M31 6h2v52h-2z" fill="#ffffff"/>
  <path d="M25 22l18 10-18 10z" fill="#ffffff"/>
</svg>
"""


def data_home() -> Path:
    """Return where the user's programs put their data."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def entries(program: str) -> Mapping[Path, str]:
    """Return the files and what is in them.

    Args:
        program: the command line that starts nervplay, quoted as the shell needs it.
    """
    home = data_home()
    return {
        home / "applications" / "nervplay.desktop": _DESKTOP.format(program=program, mime=MIME_TYPE),
        home / "mime" / "packages" / "nervplay.xml": _MIME.format(mime=MIME_TYPE),
        home / "icons" / "hicolor" / "scalable" / "apps" / "nervplay.svg": _ICON,
    }


def install(arguments: tuple[str, ...]) -> list[Path]:
    """Write the entries, older ones replaced; return where they lie.

    Args:
        arguments: the program and what stands before the command's name.

    Raises:
        OutputError: a folder cannot be made or written to.
    """
    files = entries(shlex.join(arguments))
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"the folder {path.parent} cannot be made: {error.strerror}") from None
        atomic_write(path, text.encode(), overwrite=True)
    _tell_the_desktop()
    return list(files)


def remove() -> list[Path]:
    """Remove the entries; return those that were there.

    Raises:
        OutputError: one cannot be removed.
    """
    removed = []
    for path in entries(""):
        try:
            path.unlink()
            removed.append(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise OutputError(f"{path} cannot be removed: {error.strerror}") from None
    if removed:
        _tell_the_desktop()
    return removed


def _tell_the_desktop() -> None:
    """Let the desktop read its folders again, where it has the programs for that; they only speed things up."""
    home = data_home()
    for program, folder in (
        ("update-mime-database", home / "mime"),
        ("update-desktop-database", home / "applications"),
    ):
        found = shutil.which(program)
        if found is not None and folder.is_dir():
            subprocess.run([found, str(folder)], check=False, capture_output=True)  # noqa: S603 - our own folder
