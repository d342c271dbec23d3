"""Which processes a process has started, directly or not: what a test may kill on a machine that others use, too."""

from pathlib import Path

__all__ = ["descendants"]


def _parents() -> dict[int, int]:
    """Process -> its parent, of all that are there."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # the name, in brackets, may hold anything
            found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    return found


def descendants(ancestor: int, words: bytes) -> list[int]:
    """The processes below one whose command line holds some words, in ascending order.

    Args:
        ancestor: process id.
        words: part of the command line.
    """
    parents, found = _parents(), []
    for process in sorted(parents):
        above = process
        while above in parents and above != ancestor:
            above = parents[above]
        try:
            if above == ancestor and words in Path(f"/proc/{process}/cmdline").read_bytes():
                found.append(process)
        except OSError:
            continue
    return found
