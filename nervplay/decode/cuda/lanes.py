"""A lane: one frame at a time from index to memory of the host. Two lanes overlap what one does in turn.

    lane 0   [network][convert][copy]         [network][convert][copy]
    lane 1            [network][convert][copy]         [network][convert][copy]

Each lane is a stream with buffers of its own. Network and conversion are recorded once as CUDA graphs and replayed: one
call to the driver instead of one per operation. Copies go into pinned memory, which the copy engine reads and writes
while the other lane computes. Every lane runs the same kernels on one frame, so a frame's bytes do not depend on its
lane; larger batches would choose other kernels, with other rounding.

On the CPU, where tests run, a lane does the same without stream and graph.
"""

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from nervplay.decode.cuda.output import FloatPlanes, Output
from nervplay.tf32 import tf32_set

__all__ = ["PINNED_BUDGET", "Lane", "Pending", "allow_tf32", "numbered", "on_device", "return_memory"]

PINNED_BUDGET = 512 << 20
"""Most bytes of pinned memory that frames in the caller's hands may hold; later ones are copied to ordinary memory."""
_settings = threading.RLock()
"""Held while PyTorch's settings differ from the user's: they are of the process, and two threads would mix them up."""
_recording = threading.Lock()
"""Held while a graph is recorded: whoever waits for the whole device meanwhile, in any thread, ruins the recording."""
_WARM_UPS = 3
"""Runs before recording: libraries choose their kernels and Triton compiles in the first."""


@contextlib.contextmanager
def allow_tf32(allowed: bool) -> Iterator[None]:
    """Let float32 convolutions and products use TF32, or not, inside the block; PyTorch's settings come back after it.

    Kernels are chosen by PyTorch's rules alone in it, so that the same ones are chosen every time. One thread at a time
    is inside; replaying a graph needs none of this.
    """
    cudnn = torch.backends.cudnn
    with _settings, tf32_set(allowed):
        before = cudnn.benchmark, cudnn.deterministic
        try:
            cudnn.benchmark, cudnn.deterministic = False, True
            yield
        finally:
            cudnn.benchmark, cudnn.deterministic = before


@contextlib.contextmanager
def on_device(device: torch.device) -> Iterator[None]:
    """Compute without gradients, with `device` as the current one: what Triton runs on."""
    with torch.inference_mode(), torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext():
        yield


def numbered(device: torch.device) -> torch.device:
    """Return a device with its number: "cuda" is whichever is the current one at the moment."""
    return torch.device("cuda", torch.cuda.current_device()) if str(device) == "cuda" else device


def return_memory() -> None:
    """Give the device memory that nobody uses back to the driver; waits for a graph that is being recorded."""
    with _recording:
        torch.cuda.empty_cache()


class _Streams:
    """Hands out streams, first those of lanes that are gone.

    PyTorch has 32 of a device and gives each out again and again: a lane could share its stream with one that another
    thread records at the moment.
    """

    def __init__(self) -> None:
        self._free: dict[torch.device, list[torch.cuda.Stream]] = {}

    def take(self, device: torch.device, user: object) -> torch.cuda.Stream:
        """Return a stream of a device, which is free again when its user is gone."""
        free = self._free.setdefault(numbered(device), [])
        try:
            stream = free.pop()
        except IndexError:
            stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        weakref.finalize(user, free.append, stream).atexit = False
        return stream


_streams = _Streams()


class _Pinned:
    """Counts the pinned bytes that callers hold; PyTorch's allocator keeps the blocks and hands them out again."""

    def __init__(self) -> None:
        self._held = 0
        self._lock = threading.Lock()

    def take(self, like: Tensor) -> tuple[Tensor, NDArray[Any]]:
        """Return pinned memory for a tensor, as a tensor and as the array that stands for it among callers."""
        memory = torch.empty(like.shape, dtype=like.dtype, pin_memory=True)
        array: NDArray[Any] = memory.numpy()  # which keeps the memory, but not this object of it
        with self._lock:
            self._held += array.nbytes
        weakref.finalize(array, self._give_back, array.nbytes).atexit = False
        return memory, array

    def _give_back(self, count: int) -> None:
        with self._lock:
            self._held -= count

    @property
    def exhausted(self) -> bool:
        """Whether callers hold as much as they may."""
        return self._held > PINNED_BUDGET


_pinned = _Pinned()


class Pending:
    """A frame on its way.

    Args:
        arrays: where it will lie, on the host.
        arrived: when it is there; None when it is.
    """

    def __init__(self, arrays: tuple[NDArray[Any], ...], arrived: torch.cuda.Event | None) -> None:
        self._arrays, self._arrived = arrays, arrived

    def wait(self) -> tuple[NDArray[Any], ...]:
        """Return the frame's arrays, which are the caller's."""
        if self._arrived is None:
            return self._arrays
        self._arrived.synchronize()
        return tuple(array.copy() for array in self._arrays) if _pinned.exhausted else self._arrays


@contextlib.contextmanager
def _memory_told() -> Iterator[None]:
    """Let memory that runs out in a recording be told as that: ending it then fails as well, which would hide it."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error.__context__, torch.OutOfMemoryError):
            raise error.__context__ from None
        raise


class _Recorded:
    """A function of fixed memory: its CUDA graph, or itself where there is none.

    Args:
        function: returns tensors that it makes from others in the same place every time.
        stream: where it runs; None on the CPU.
        record: whether to make a graph.
        tf32: whether float32 products may be TF32.
    """

    def __init__(
        self, function: Callable[[], tuple[Tensor, ...]], stream: torch.cuda.Stream | None, *, record: bool, tf32: bool
    ) -> None:
        self._function, self._tf32 = function, tf32
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result: tuple[Tensor, ...] = ()
        if stream is None or not record:
            return
        with allow_tf32(tf32):
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UPS):
                    function()
            stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            # Other decoders, in other threads, go on meanwhile.
            recording = torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local")
            with _recording, _memory_told(), recording:
                self._result = function()
        self._graph = graph

    def __call__(self) -> tuple[Tensor, ...]:
        """Run it on the current stream, and return what it makes; the next call may overwrite that."""
        if self._graph is None:
            with allow_tf32(self._tf32):
                return self._function()
        self._graph.replay()
        return self._result


class Lane:
    """Decodes frames one after the other, without waiting for them.

    Args:
        network: from an index, int64 (1,), to a frame (1, 3, H, W) of any float type, on the device.
        device: where it runs.
        record: whether its operations can be recorded as a CUDA graph.
        tf32: whether float32 products may be TF32.
    """

    def __init__(
        self, network: Callable[[Tensor], Tensor], device: torch.device, *, record: bool, tf32: bool = False
    ) -> None:
        self._device, self._tf32 = device, tf32
        self._stream = _streams.take(device, self) if device.type == "cuda" else None
        self._record = record and self._stream is not None
        self._index = index = torch.zeros(1, dtype=torch.int64, device=device)
        self._outputs: dict[Output, _Recorded] = {}
        self._frame = torch.empty(0)
        self._reader: torch.cuda.Stream | None = None  # where the frame may still be read

        # Nothing here holds the lane itself, whose memory would stay until Python looks for cycles.
        def compute() -> tuple[Tensor, ...]:
            return (network(index).float().contiguous(),)

        if self._stream:  # weights are copied on the current one
            self._stream.wait_stream(torch.cuda.current_stream(device))
        with self._here():
            self._network = _Recorded(compute, self._stream, record=record, tf32=tf32)

    @contextlib.contextmanager
    def _here(self) -> Iterator[None]:
        """Compute on this lane's stream."""
        with on_device(self._device), torch.cuda.stream(self._stream):  # a stream of None changes nothing
            yield

    def compute(self, index: int) -> Tensor:
        """Return a frame on the device, float32 (1, 3, H, W), in order with the current stream; the next overwrites it.

        Args:
            index: 0 .. T - 1.
        """
        here = torch.cuda.current_stream(self._device) if self._stream else None
        self._run(index)
        if self._stream and here:
            here.wait_stream(self._stream)
            self._reader = here
        return self._frame

    def start(self, index: int, output: Output) -> Pending:
        """Start a frame and return where it will be.

        Args:
            index: 0 .. T - 1.
            output: how it leaves the device.
        """
        self._run(index)
        with self._here():
            made = self._converted(output)
            if self._stream is None:
                return Pending(tuple(tensor.clone().numpy() for tensor in made), None)
            host = [_pinned.take(tensor) for tensor in made]
            for (memory, _), tensor in zip(host, made, strict=True):
                memory.copy_(tensor, non_blocking=True)
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record(self._stream)
            return Pending(tuple(array for _, array in host), arrived)

    def finish(self) -> None:
        """Wait until the device has done what was started; of this lane alone, as others may be recorded."""
        if self._stream:
            self._stream.synchronize()

    def _run(self, index: int) -> None:
        """Make a frame, behind whoever reads the one before."""
        with self._here():
            if self._stream and self._reader:
                self._stream.wait_stream(self._reader)
                self._reader = None
            self._index.fill_(index)
            (self._frame,) = self._network()

    def _converted(self, output: Output) -> tuple[Tensor, ...]:
        """Return the frame as it leaves the device."""
        frame = self._frame
        # floats are not converted, and a graph of nothing is none
        if not self._record or isinstance(output, FloatPlanes):
            return output(frame)
        convert = self._outputs.get(output)
        if convert is None:  # frames of a graph lie in one place
            make = partial(_Recorded, lambda: output(frame), self._stream, tf32=self._tf32)
            try:
                convert = make(record=True)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError:  # somebody waited for the whole device meanwhile
                convert = make(record=False)
            self._outputs[output] = convert
        return convert()
