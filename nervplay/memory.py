"""What a process asks of the memory allocator, and of Python's garbage collection."""

import ctypes
import gc
import sys
import threading

__all__ = ["keep_pages", "settle"]

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_LARGEST = (1 << 31) - 1
_once = threading.Lock()


def keep_pages() -> bool:
    """Make malloc of this process keep what is freed; return whether it could. Once per process, never undone.

    Frames and maps are megabytes that come and go many times a second. glibc gives such memory back to the system at
    once, and every page of the next one is a fault.
    """
    if sys.platform != "linux" or not _once.acquire(blocking=False):
        return sys.platform == "linux"
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return all(
        mallopt(option, value) == 1
        for option, value in ((_M_MMAP_THRESHOLD, 1 << 30), (_M_TRIM_THRESHOLD, _LARGEST), (_M_TOP_PAD, 1 << 28))
    )


def settle() -> None:
    """Collect garbage now, and leave what is alive out of collections from here on, until the next call.

    With PyTorch loaded there are 200,000 objects; to look through them takes a tenth of a second, every few seconds.
    What was left out before is looked through again, so nothing stays for good.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
