"""The kernels of a fit from Python: finding or building the library, and its calls (`train.h`)."""

import ctypes
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from ctypes import POINTER, c_double, c_float, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any

import torch

from nervplay.decode.native.build import BuildError, open_built
from nervplay.training.native.build import build
from nervplay.user_cache import user_cache

__all__ = ["ABI", "Kernels", "kernels"]

ABI = 3
"""`NT_ABI` of the sources that this module mirrors."""

_LOG = logging.getLogger(__name__)

_SIGNATURES: Mapping[str, tuple[Any, Sequence[Any]]] = {
    "nt_finish": (None, [*[c_int] * 6, *[c_void_p] * 3, *[c_int] * 4]),
    "nt_depthwise": (None, [*[c_void_p] * 4, *[c_int] * 5]),
    "nt_depthwise_weights": (None, [*[c_void_p] * 3, *[c_int] * 5]),
    "nt_convolve": (c_int, [c_int, *[c_void_p] * 5, *[c_int] * 7]),
    "nt_convolve_weights": (c_int, [*[c_void_p] * 5, *[c_int] * 7]),
    "nt_head": (c_int, [c_int, c_int, *[c_void_p] * 4, *[c_int] * 4]),
    "nt_next_enter": (c_int, [c_int, *[c_void_p] * 8, c_float, *[c_int] * 4]),
    "nt_next_enter_back": (c_int, [c_int, *[c_void_p] * 10, *[c_int] * 4]),
    "nt_next_leave": (None, [c_int, *[c_void_p] * 4, *[c_int] * 3]),
    "nt_next_leave_back": (c_int, [c_int, *[c_void_p] * 5, *[c_int] * 3]),
    "nt_picture": (None, [c_int, *[c_void_p] * 3, c_float, c_int64]),
    "nt_error": (c_int, [c_int, *[c_void_p] * 3, POINTER(c_double), c_int, c_int64]),
    "nt_adam": (c_int, [c_void_p, c_void_p, c_int, *[c_double] * 4]),
    "nt_ssim": (c_int, [*[c_void_p] * 3, *[c_int] * 3, c_void_p, POINTER(c_double)]),
}
"""Result and arguments behind the pool."""


class Kernels:
    """The library, with PyTorch's threads or as many of its own; one call at a time, others wait.

    Args:
        path: the shared library.

    Raises:
        BuildError: it cannot be loaded, or is of another version.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._library = ctypes.CDLL(str(path))
        except OSError as error:
            raise BuildError(f"the library cannot be loaded: {error}") from None
        found = self._library.nt_abi()
        if found != ABI:
            raise BuildError(f"the library has interface {found}, this nervplay {ABI}")
        self._library.nk_pool_new.argtypes, self._library.nk_pool_new.restype = [c_int], c_void_p
        self._library.nk_pool_free.argtypes, self._library.nk_pool_free.restype = [c_void_p], None
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, [c_void_p, *arguments]
        self._library.nt_team.argtypes, self._library.nt_team.restype = [c_void_p, c_void_p, c_int], None
        self._lock = threading.Lock()
        self._pool: int | None = None
        self._threads, self._process = 0, 0

    def call(self, name: str, *arguments: Any) -> Any:
        """Run the function called `name` of `train.h` behind its pool and return what it returns.

        Args:
            name: with its prefix.
            arguments: all but the pool; addresses as integers.

        Raises:
            MemoryError: the system gives no memory for threads.
        """
        with self._lock:
            return getattr(self._library, name)(self._ready(), *arguments)

    def _ready(self) -> int:
        """Return the pool of PyTorch's present number of threads; a forked process has none of its parent's threads."""
        threads, process = torch.get_num_threads(), os.getpid()
        if (threads, process) != (self._threads, self._process):
            if self._pool and process == self._process:
                self._library.nk_pool_free(self._pool)
            team = None if _State.forked else _openmp()
            self._library.nt_team(*(team or (None, None)), threads)
            self._pool = self._library.nk_pool_new(1 if team else threads)
            self._threads, self._process = threads, process
        if not self._pool:
            self._threads = 0
            raise MemoryError(f"no memory for {threads} threads")
        return self._pool


def _openmp() -> Any:
    """Return what runs a function on PyTorch's threads and what numbers them; None where they are not GNU OpenMP's."""
    if not torch.backends.openmp.is_available():  # type: ignore[no-untyped-call]  # untyped in torch
        return None
    found = ctypes.CDLL(None)
    names = "GOMP_parallel", "omp_get_thread_num"
    return tuple(getattr(found, it) for it in names) if all(hasattr(found, it) for it in names) else None


class _State:
    """What `kernels` found, once per process; and whether the process was forked, where OpenMP has no threads."""

    lock = threading.Lock()
    found: Kernels | None = None
    searched = False
    forked = False

    @classmethod
    def fork(cls) -> None:
        """Note that this is a forked process."""
        cls.forked = True


os.register_at_fork(after_in_child=_State.fork)


def kernels() -> Kernels | None:
    """Return the kernels, None where there is no compiler; the first call on a computer compiles, for some seconds."""
    with _State.lock:
        if not _State.searched:
            _State.searched = True
            try:
                _State.found = open_built(user_cache() / "kernels", build, Kernels)
            except BuildError as error:
                _LOG.info("fits run without native kernels: %s", error)
        return _State.found
