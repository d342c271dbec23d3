"""Where the decoded frames of a clip lie: in main memory up to a budget, beyond it in a file that is mapped.

The file has no name: it lies in the folder of the resume file, and the system takes it back when the fit ends, however
that happens. A kill or a power cut leaves nothing to be cleaned. What is read often stays in the system's page cache.
"""

import errno
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nervplay.errors import OutputError

__all__ = ["MEMORY_SHARE", "available_memory", "in_memory", "mapped"]

MEMORY_SHARE = 0.5
"""Part of the available memory that frames may take; the rest is for the network, its activations and others."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CGROUP = Path("/sys/fs/cgroup")


def available_memory() -> int:
    """Return the bytes of main memory that can be had without swapping, within the limit of a container."""
    free = _of_the_machine()
    try:
        limit, used = ((_CGROUP / f"memory.{name}").read_text().strip() for name in ("max", "current"))
    except OSError:  # no container, or another kind of system
        return free
    return free if limit == "max" else min(free, max(0, int(limit) - int(used)))


def _of_the_machine() -> int:
    """Return the bytes that the whole machine has left."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def in_memory(frames: Iterable[NDArray[np.uint8]], shape: tuple[int, int, int, int]) -> Tensor:
    """Return frames as one tensor in main memory.

    Args:
        frames: T times uint8 (H, W, 3).
        shape: (T, 3, H, W).

    Returns:
        uint8 (T, 3, H, W).
    """
    result = torch.empty(shape, dtype=torch.uint8)
    for place, frame in zip(result, frames, strict=True):
        place.copy_(torch.from_numpy(frame).permute(2, 0, 1))
    return result


def mapped(frames: Iterable[NDArray[np.uint8]], shape: tuple[int, int, int, int], folder: Path | None) -> Tensor:
    """Return frames as one tensor that lies in a file.

    Args:
        frames: T times uint8 (H, W, 3).
        shape: (T, 3, H, W).
        folder: where the file lies; None for the system's folder of temporary files.

    Returns:
        uint8 (T, 3, H, W); the file lives as long as it does.

    Raises:
        OutputError: the disk has no room for the frames, or the folder cannot be written.
    """
    place = Path(tempfile.gettempdir()) if folder is None else folder
    try:
        file = tempfile.TemporaryFile(dir=place, buffering=0)  # noqa: SIM115 - only its own errors are explained here
    except OSError as error:
        raise _no_room(error, shape, place) from None
    with file:
        for frame in frames:
            try:
                _write(file, np.ascontiguousarray(frame.transpose(2, 0, 1)).data.cast("B"))
            except OSError as error:
                raise _no_room(error, shape, place) from None
        try:
            os.fsync(file.fileno())  # a disk that takes bytes and loses them says so here
        except OSError as error:
            raise _no_room(error, shape, place) from None
        # copy on write: PyTorch wants memory that it may write to, and never does
        return torch.from_numpy(np.memmap(file, np.uint8, "c", shape=shape))


def _write(file: Any, data: memoryview) -> None:
    """Write all of `data`: one call may write less, on a disk that fills up."""
    while data:
        data = data[file.write(data) :]


def _no_room(error: OSError, shape: tuple[int, int, int, int], place: Path) -> OutputError:
    """Return what a user reads when frames cannot be put into a folder."""
    reason = "the disk has no room for them" if error.errno in _FULL else error.strerror
    size = np.prod(shape, dtype=np.int64) / 2**30
    return OutputError(
        f"the {shape[0]} frames take {size:.2f} GiB, more than may lie in memory, and "
        f"could not be put into {place}: {reason}; make room, allow more memory (--frame-memory), or take fewer or "
        "smaller frames"
    )
