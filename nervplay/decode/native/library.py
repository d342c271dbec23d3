"""The compiled kernels from Python: finding or building the library, and its structs and calls (`nk.h`)."""

import ctypes
import threading
from ctypes import POINTER, c_char_p, c_float, c_int, c_int32, c_int64, c_void_p
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervplay.decode.native.build import BuildError, build, library_name, open_built
from nervplay.errors import CapabilityError
from nervplay.user_cache import user_cache

__all__ = [
    "ABI",
    "ACTIVATIONS",
    "CODES",
    "KINDS",
    "MAX_CHAIN",
    "MAX_SOURCES",
    "POINT_INPUTS",
    "POINT_LINES",
    "POINT_SLOTS",
    "GateStruct",
    "GhostStruct",
    "Isa",
    "Line",
    "Node",
    "Op",
    "Part",
    "Place",
    "Point",
    "Pool",
    "Step",
    "Yuv",
    "kernels",
    "load",
    "run_chain",
    "why_not",
]

ABI = 12
"""`NK_ABI` of the sources that this module mirrors."""
MAX_CHAIN = 32
"""`NK_MAX_CHAIN`."""
MAX_SOURCES = 4
"""`NK_MAX_SOURCES`."""
POINT_INPUTS, POINT_SLOTS, POINT_LINES = 12, 12, 24
"""`NK_POINT_INPUTS`, `NK_POINT_SLOTS`, `NK_POINT_LINES`."""
CODES = {
    name: number for number, name in enumerate(("add", "subtract", "multiply", "multiply_add", "affine", "activate"))
}
"""`enum nk_code`."""
_KIND_NAMES = (
    *("direct", "wino", "wino16", "head", "head16", "line", "line16"),
    *("mix", "mix16", "enlarge", "point", "ghost", "flat16", "line_pairs", "line_pairs16"),
)
KINDS = {name: number for number, name in enumerate(_KIND_NAMES)}
"""`enum nk_kind`."""
_NAMES = (
    "none",
    "relu",
    "leaky",
    "relu6",
    "gelu",
    "silu",
    "softplus",
    "hardswish",
    "sin",
    "sigmoid",
    "tanh",
    "half_tanh",
)
ACTIVATIONS = {name: number for number, name in enumerate(_NAMES)}
"""`enum nk_act`."""


class Op(ctypes.Structure):
    """`nk_op`: one convolution with bias, activation and pixel shuffle."""

    _fields_: ClassVar = [
        *((name, c_int32) for name in ("kind", "act", "height", "width", "channels", "out_channels")),
        *((name, c_int32) for name in ("kh", "kw", "top", "left", "out_height", "out_width")),
        *((name, c_int32) for name in ("shuffle", "strip", "ring", "block", "groups", "sources", "added", "pairs")),
        *((name, c_int32) for name in ("most", "out_step")),
        ("slope", c_float),
        *(
            (name, c_void_p)
            for name in ("weights", "bias", "scale", "units", "added_units", "norm", "axes", "head", "step")
        ),
        *((name, c_void_p) for name in ("point", "ghost", "ranges")),
    ]


class Step(ctypes.Structure):
    """`nk_step`: what a step of a HiNeRV has beside its `Op`."""

    _fields_: ClassVar = [
        *((name, c_int32) for name in ("hidden", "residual", "norm")),
        ("epsilon", c_float),
        *((name, c_void_p) for name in ("taps", "project", "tile", "units", "hidden_units", "hidden_scale")),
        *((name, c_void_p) for name in ("peaks", "hidden_peaks")),
    ]


class Line(ctypes.Structure):
    """`nk_point_line`: one operation on each value."""

    _fields_: ClassVar = [
        *((name, c_int32) for name in ("code", "to", "a", "b", "c")),
        ("scale", c_float),
        ("shift", c_float),
    ]


class Point(ctypes.Structure):
    """`nk_point`: what is computed of each value of some maps."""

    _fields_: ClassVar = [
        *((name, c_int32) for name in ("lines", "inputs")),
        ("repeated", c_int32 * POINT_INPUTS),
        ("input", c_void_p * POINT_INPUTS),
        ("line", Line * POINT_LINES),
    ]


class GateStruct(ctypes.Structure):
    """`nk_gate`: what makes the gate of a ghost module."""

    _fields_: ClassVar = [
        *((name, c_void_p) for name in ("op", "map")),
        *((name, c_int32) for name in ("down", "across")),
        ("taps", c_void_p),
    ]


class GhostStruct(ctypes.Structure):
    """`nk_ghost`: what a ghost module has beside its `Op`."""

    _fields_: ClassVar = [
        *((name, c_int32) for name in ("factor", "down", "across")),
        *((name, c_void_p) for name in ("gate", "made")),
    ]


class Part(ctypes.Structure):
    """`nk_part`: some channels of a map of a net."""

    _fields_: ClassVar = [(name, c_int32) for name in ("map", "first", "channels")]


class Node(ctypes.Structure):
    """`nk_node`: an `Op` of a net, and where it reads and writes."""

    _fields_: ClassVar = [("op", POINTER(Op)), ("source", Part * MAX_SOURCES), ("added", Part), ("target", Part)]


class Place(ctypes.Structure):
    """`nk_place`: a map of a net."""

    _fields_: ClassVar = [
        ("memory", c_void_p),
        *((name, c_int32) for name in ("width", "channels", "ring", "narrow")),
    ]


class Yuv(ctypes.Structure):
    """`nk_yuv`: a picture and where its planes of samples go."""

    _fields_: ClassVar = [
        ("rgb", c_void_p),
        *((name, c_int32) for name in ("height", "width", "wide", "subsampled")),
        ("top", c_float),
        ("matrix", c_float * 12),
        ("planes", c_void_p * 3),
        ("strides", c_int64 * 3),
    ]


class Isa(NamedTuple):
    """One instruction set of the library.

    Args:
        number: what the calls take.
        name: "avx512", "avxvnni", "avx2" or "generic".
        lanes: floats of a vector.
        panel: vectors of the widest panel of packed weights.
        adds_apart: whether additions cost nothing beside multiplications, as on AMD's processors.
    """

    number: int
    name: str
    lanes: int
    panel: int
    adds_apart: bool


class _State:
    """What `load` found, once per process."""

    lock = threading.Lock()
    library: ctypes.CDLL | None = None
    reason: str | None = None


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Give the functions of the library their types."""
    for name in ("count", "supported", "adds_apart", "lanes", "panel"):
        getattr(library, f"nk_isa_{name}").argtypes = [] if name == "count" else [c_int]
    library.nk_isa_name.argtypes, library.nk_isa_name.restype = [c_int], c_char_p
    library.nk_pool_new.argtypes, library.nk_pool_new.restype = [c_int], c_void_p
    library.nk_pool_free.argtypes, library.nk_pool_free.restype = [c_void_p], None
    library.nk_chain.argtypes = [c_void_p, c_int, POINTER(Op), c_int, c_void_p, c_int, c_void_p, c_void_p]
    library.nk_net.argtypes = [c_void_p, c_int, POINTER(Node), POINTER(Place), c_int, c_void_p, c_int]
    library.nk_linear.argtypes = [c_void_p, c_int, c_void_p, c_void_p, c_void_p, c_int, c_int, c_int, c_float, c_void_p]
    library.nk_depthwise.argtypes = [c_void_p, c_int, POINTER(Op), c_void_p, c_void_p]
    library.nk_peak.argtypes = [c_int, POINTER(Op), c_void_p, c_void_p]
    library.nk_rgb8.argtypes = [c_void_p, c_int, c_void_p, c_int, c_int, c_void_p]
    library.nk_to_yuv.argtypes = [c_void_p, c_int, POINTER(Yuv)]
    sizes = [c_int] * 3
    library.nk_moments.argtypes = [c_void_p, c_int, c_void_p, *sizes, c_float, c_void_p, c_void_p, c_void_p]
    for name in ("nk_linear", "nk_depthwise", "nk_peak", "nk_rgb8", "nk_to_yuv"):
        getattr(library, name).restype = None
    return library


def _open(path: Path) -> ctypes.CDLL:
    """Return a library.

    Raises:
        BuildError: it cannot be loaded, or is of another version.
    """
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise BuildError(f"the library cannot be loaded: {error}") from None
    if library.nk_abi() != ABI:
        raise BuildError(f"the library has interface {library.nk_abi()}, this nervplay {ABI}")
    return _declare(library)


def _find() -> ctypes.CDLL:
    """Return the library of the wheel, or one from the user's cache, built on first use.

    Raises:
        BuildError: there is none and none can be built.
    """
    shipped = Path(__file__).resolve().parent / library_name()
    return _open(shipped) if shipped.is_file() else open_built(user_cache() / "kernels", build, _open)


def load() -> ctypes.CDLL:
    """Return the library; the first call of a process may compile it, which takes some ten seconds.

    Raises:
        CapabilityError: there is none and none can be built; the message says why.
    """
    if _State.library is not None:
        return _State.library
    with _State.lock:
        if _State.library is None and _State.reason is None:
            try:
                _State.library = _find()
            except BuildError as error:
                _State.reason = str(error)
        if _State.library is None:
            raise CapabilityError(f"the native kernels are not available: {_State.reason}; use --backend torch")
        return _State.library


def why_not() -> str | None:
    """Return why there are no native kernels here, in a few words; None where there are."""
    try:
        load()
    except CapabilityError:
        return _State.reason
    return None


def kernels(name: str | None = None) -> Isa:
    """Return the best instruction set of this processor, or the one of that name.

    Raises:
        CapabilityError: no library, or this processor lacks the instruction set.
    """
    library = load()
    for number in range(library.nk_isa_count()):
        found = library.nk_isa_name(number).decode()
        if name in (None, found) and library.nk_isa_supported(number):
            lanes, panel = library.nk_isa_lanes(number), library.nk_isa_panel(number)
            return Isa(number, found, lanes, panel, bool(library.nk_isa_adds_apart(number)))
    raise CapabilityError(f"this processor cannot run the '{name}' kernels; leave the choice to nervplay")


class Pool:
    """Threads that compute together, and their scratch memory; one call at a time.

    Args:
        threads: how many, the caller's among them; at least 1.

    Raises:
        CapabilityError: no library.
        MemoryError: the system gives no memory.
    """

    def __init__(self, threads: int) -> None:
        self.handle: int | None = None  # first, for `close` of one that was never made
        self._library = load()
        self.handle = self._library.nk_pool_new(threads)
        if not self.handle:
            raise MemoryError(f"no memory for {threads} threads")

    def close(self) -> None:
        """End the threads and free the memory; idempotent."""
        handle, self.handle = self.handle, None
        if handle:
            self._library.nk_pool_free(handle)

    def __del__(self) -> None:
        self.close()


def run_chain(pool: Pool, isa: Isa, ops: Any, turns: NDArray[np.int32], *, source: int, target: int) -> None:
    """Run `nk_chain`.

    Args:
        pool: the threads.
        isa: for which the ops are packed.
        ops: an array of `Op`; those that no turn names are run by others.
        turns: int32 (count, 4), C-contiguous, see `schedule`.
        source: address of the first op's input.
        target: address of what the last one makes.

    Raises:
        MemoryError: no memory for the rows between them.
    """
    count = int(turns[:, 0].max()) + 1
    if load().nk_chain(pool.handle, isa.number, ops, count, turns.ctypes.data, len(turns), source, target):
        raise MemoryError("no memory for the rows between convolutions")
