"""Writing files so that a target is there whole or not at all: beside it, synced, then renamed.

What lies beside is locked while its writer lives, by the system: a writer that is killed leaves it unlocked.
"""

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nervplay.errors import OutputError, OutputExistsError

__all__ = ["atomic_write", "clear_leftovers", "folder_beside", "replacing"]

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your disk quota is used up",
    errno.EFBIG: "the file is over the size that is allowed here",
}


@contextmanager
def replacing(path: str | os.PathLike[str], *, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, sync that file and rename it to `path`.

    Whatever goes wrong, a kill included, `path` stays as it was; all but a kill remove the temporary file, too, and
    what a kill leaves `clear_leftovers` finds. It
    exists and is empty when the block starts, and has the suffix of `path`, by which encoders choose their format. A
    symbolic link is followed: its target is replaced.

    Args:
        path: the target.
        overwrite: whether an existing target may be replaced.

    Raises:
        OutputExistsError: the target exists and `overwrite` is off.
        OutputError: the folder is missing or read-only, the target is a folder, the disk is full.
    """
    target = Path(os.path.realpath(path))
    _check_target(target, Path(path), overwrite)
    try:
        temporary, lock = _make_locked(target, lambda place: place.touch(0o666, exist_ok=False))
    except OSError as error:
        raise _explained(error, Path(path)) from None
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        _check_target(target, Path(path), overwrite)  # it may have come into being meanwhile
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        if error.errno in _FULL or error.filename in (temporary, str(temporary)):
            raise _explained(error, Path(path)) from None
        raise
    finally:
        temporary.unlink(missing_ok=True)
        os.close(lock)


@contextmanager
def folder_beside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty folder beside `path`, which is removed after the block, or by `clear_leftovers` after a kill.

    Args:
        path: what its content is for.

    Raises:
        OSError: it cannot be made.
    """
    folder, lock = _make_locked(Path(os.path.realpath(path)), Path.mkdir)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def clear_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove what writers of `path` that were killed left beside it; what living ones write stays.

    Args:
        path: the target that they were for; it stays as it is.
    """
    target = Path(os.path.realpath(path))
    for leftover in target.parent.glob(f"{_beside(target)}*"):
        with suppress(OSError):  # its writer lives, or somebody else removed it
            lock = os.open(leftover, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            finally:
                os.close(lock)


def _make_locked(target: Path, make: Callable[[Path], None]) -> tuple[Path, int]:
    """Return a new place beside `target`, and the descriptor that holds its lock."""
    while True:
        place = target.parent / f"{_beside(target)}{secrets.token_hex(6)}.part{target.suffix}"
        make(place)
        lock = os.open(place, os.O_RDONLY)
        with suppress(OSError):  # some file systems have no locks: what a kill leaves stays there
            fcntl.flock(lock, fcntl.LOCK_EX)
        if place.exists():
            return place, lock
        os.close(lock)  # `clear_leftovers` of another process was quicker than our lock


def _beside(target: Path) -> str:
    """Return what the names of all temporary files of a target begin with."""
    return f".nervplay-{hashlib.sha256(target.name.encode()).hexdigest()[:8]}-"


def atomic_write(path: str | os.PathLike[str], data: bytes, *, overwrite: bool = False) -> None:
    """Write `data` to `path`, whole or not at all.

    Args:
        path: the target.
        data: the content.
        overwrite: whether an existing target may be replaced.

    Raises:
        OutputExistsError: the target exists and `overwrite` is off.
        OutputError: the folder is missing or read-only, the target is a folder, the disk is full.
    """
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(data)


def _check_target(target: Path, named: Path, overwrite: bool) -> None:
    """Raise `OutputError` unless `target` may be created, or replaced where `overwrite` is on."""
    if not target.parent.is_dir():
        raise OutputError(f"the folder {target.parent} does not exist; create it first")
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise _explained(error, named) from None
    if stat.S_ISDIR(mode):
        raise OutputError(f"{named} is a folder; give the name of a file in it")
    if not stat.S_ISREG(mode):
        raise OutputError(f"{named} is not a regular file; give another name")
    if not overwrite:
        raise OutputExistsError(f"{named} exists; pass --overwrite to replace it")


def _explained(error: OSError, named: Path) -> OutputError:
    """Return what a user reads when the system refuses to write."""
    if error.errno in _FULL:
        return OutputError(f"{named} was not written: {_FULL[error.errno]}; make room or choose another disk")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"{named} was not written: its folder is read-only; choose another or change its rights")
    return OutputError(f"{named} was not written: {error.strerror}; choose another place")


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the system can open folders."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
