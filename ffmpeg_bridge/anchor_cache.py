"""Finished anchor encodes in the user's cache folder, found by the content that they were made from."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from nervplay.bitstream.atomic import atomic_write
from nervplay.errors import OutputError

__all__ = ["AnchorCache"]

_BUDGET = 2 * 1024**3


class AnchorCache:
    """Pairs of a video KEY.mp4 and its record KEY.json; the pairs used longest ago go first when there is no room.

    Several processes may share a folder: files appear whole, and one that another process removed is made again.

    Args:
        folder: where the files lie; None for `nervplay/anchors` in $XDG_CACHE_HOME, or in ~/.cache.
        budget: bytes that all files together may take.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, folder: Path | None = None, budget: int = _BUDGET) -> None:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.folder = folder or base / "nervplay" / "anchors"
        self._budget = budget
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"the cache folder {self.folder} cannot be made ({error.strerror}); set XDG_CACHE_HOME to another place"
            ) from None

    def find(self, key: str) -> dict[str, Any] | None:
        """Return the record of a pair and mark it as used; None where there is none that is whole."""
        record = self.folder / f"{key}.json"
        try:
            if not self.video(key).is_file():
                return None
            kept = json.loads(record.read_text())
            os.utime(record)
        except (OSError, ValueError):  # removed meanwhile, or damaged: as good as not there
            return None
        return kept if isinstance(kept, dict) else None

    def video(self, key: str) -> Path:
        """Return where the video of a pair lies, or would."""
        return self.folder / f"{key}.mp4"

    def add(self, key: str, record: dict[str, Any]) -> None:
        """Write the record of a video that lies in its place already; then remove old pairs beyond the budget.

        Raises:
            OutputError: disk full, folder read-only.
        """
        atomic_write(self.folder / f"{key}.json", json.dumps(record).encode(), overwrite=True)
        self._prune(key)

    def _prune(self, keep: str) -> None:
        """Remove the pairs used longest ago until the rest fits into the budget; never the pair `keep`."""
        pairs = []
        for record in self.folder.glob("*.json"):
            with suppress(OSError):
                size = record.stat().st_size + self.video(record.stem).stat().st_size
                pairs.append((record.stem == keep, record.stat().st_mtime_ns, size, record))
        room = self._budget
        for _, _, size, record in sorted(pairs, reverse=True):
            room -= size
            if room < 0 and record.stem != keep:
                record.unlink(missing_ok=True)
                self.video(record.stem).unlink(missing_ok=True)
