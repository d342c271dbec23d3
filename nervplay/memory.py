"""What a process asks of the memory allocator, and of Python's garbage collection."""

import ctypes
import gc
import sys
import threading

__all__ = ["keep_pages", "settle"]

_M_MXFAST, _M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = 1, -1, -2, -3
_LARGEST = (1 << 31) - 1
_GROWTH = 1 << 28
_HUGE = 1 << 21
_MADV_HUGEPAGE = 14
_once = threading.Lock()


def keep_pages() -> bool:
    """Make malloc of this process keep what is freed; return whether it could. Once per process, never undone.

    Frames and maps are megabytes that come and go many times a second. glibc gives such memory back to the system at
    once, and every page of the next one is a fault. Small pieces are not kept apart, which would be collected whenever
    a large one is asked for, and the memory lies in large pages where the system has them.
    """
    if sys.platform != "linux" or not _once.acquire(blocking=False):
        return sys.platform == "linux"
    options = {_M_MMAP_THRESHOLD: 1 << 30, _M_TRIM_THRESHOLD: _LARGEST, _M_TOP_PAD: _GROWTH, _M_MXFAST: 0}
    try:
        library = ctypes.CDLL(None)
        taken = [library.mallopt(option, value) == 1 for option, value in options.items()]
        _use_large_pages(library)
    except (OSError, AttributeError):  # another C library
        return False
    return all(taken)


def _use_large_pages(library: ctypes.CDLL) -> None:
    """Make the heap grow once and ask for large pages in what it has grown by; a system without them may refuse."""
    library.sbrk.restype = library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes, library.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    before = library.sbrk(0)
    library.free(library.malloc(_GROWTH))
    start, end = (-(-it // _HUGE) * _HUGE for it in (before, library.sbrk(0) - _HUGE))
    if start < end:
        library.madvise(start, end - start, _MADV_HUGEPAGE)


def settle() -> None:
    """Collect garbage now, and leave what is alive out of collections from here on, until the next call.

    With PyTorch loaded there are 200,000 objects; to look through them takes a tenth of a second, every few seconds.
    What was left out before is looked through again, so nothing stays for good.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
