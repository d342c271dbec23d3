"""The two ways to refuse a file, so that every message ends with what to do."""

from nervplay.errors import BitstreamError, VersionError

__all__ = ["damaged", "newer"]


def damaged(problem: str) -> BitstreamError:
    """Return the error for bytes that no writer of this format leaves behind."""
    return BitstreamError(f"{problem}; the file is damaged, copy or download it again")


def newer(what: str) -> VersionError:
    """Return the error for something that a later version may have written."""
    return VersionError(f"{what}: made by a newer nervplay; update: pip install -U nervplay")
