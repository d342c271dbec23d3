"""Numbers and foreign text as people read them. Light: the entry point uses it, too."""

__all__ = ["human_bytes", "human_count", "human_seconds", "printable"]


def printable(text: str) -> str:
    """Return `text` with all that could steer a terminal replaced: names inside files are not to be trusted."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def human_bytes(count: int) -> str:
    """Return a size as people read it, with the exact number: "1.5 MB (1,503,112 bytes)"."""
    if count < 1000:
        return f"{count} bytes"
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit} ({count:,} bytes)"
    raise AssertionError(count)


def human_count(count: float) -> str:
    """Return a count with three figures: "1.51M", "340k", "12"."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return f"{count:g}"


def human_seconds(seconds: float) -> str:
    """Return a duration as "m:ss" or "h:mm:ss", rounded to seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
