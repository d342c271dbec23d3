"""Where this user's programs keep what they can make again."""

import os
from pathlib import Path

__all__ = ["user_cache"]


def user_cache() -> Path:
    """Return our folder in the user's cache, in $XDG_CACHE_HOME or ~/.cache; nobody has made it yet.

    A user without a home, as containers have, has no cache: that is a path where nothing can be written. No folder of
    all users will do, since code is loaded from here.
    """
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # neither $HOME nor an entry of the user
        base = os.devnull
    return Path(base) / "nervplay"
