"""The decoder on a GPU: CUDA graphs of the whole network, two lanes, and eight-bit products in Triton.

Precisions, by what is really computed:
    fp32    float32, TF32 switched off: the reference's arithmetic
    tf32    float32 with convolutions and matrix products in TF32 (10 bits of mantissa), PyTorch's default on a GPU
    bf16    bfloat16, channels innermost
    fp16    float16, channels innermost
    int8    8-bit weights times 8-bit inputs with 32-bit sums (W8A8), requantised behind the activation; convolutions
            that err too much in bfloat16; depthwise convolutions and operations that are none in float32 by PyTorch

The same precision gives the same bytes every time on one GPU: kernels are chosen by rule, not by timing, and each frame
is computed by itself, whether it is asked for alone or in a stream.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import cycle
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nervplay.decode.base import plain_index
from nervplay.decode.buffers import check_buffer, deliver
from nervplay.decode.calibration import Progress, calibrate
from nervplay.decode.carried import Records, has_most, to_record
from nervplay.decode.cuda.bench import DeviceBench
from nervplay.decode.cuda.engines import Engine, triton_engine
from nervplay.decode.cuda.lanes import Lane, Pending, allow_tf32, numbered, on_device, return_memory
from nervplay.decode.cuda.output import FloatPlanes, Output, Rgb8, YuvPlanes
from nervplay.decode.cuda.program import DeviceProgram
from nervplay.decode.graph import Graph, UntraceableError, trace
from nervplay.decode.loss import need
from nervplay.decode.lowering import Lowered, lower
from nervplay.decode.planes import check_planes
from nervplay.decode.stages import ROUNDS, StageTime, best_of
from nervplay.decode.torch_decoder import TorchDecoder
from nervplay.decode.torch_fast import lay_channels_last
from nervplay.decode.w8a8 import KIND, RECORD, integers_from
from nervplay.errors import CapabilityError, UsageError
from nervplay.models import VideoModel
from nervplay.video.source import Frame, Planes
from nervplay.video.spec import VideoSpec

__all__ = ["CudaDecoder"]

_DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_WORDS = {
    "fp32": "float32, TF32 off",
    "tf32": "float32 with TF32 products",
    "bf16": "bfloat16",
    "fp16": "float16",
}
_MODERN = (8, 0)
"""Compute capability from which tensor cores take bfloat16 and TF32, and Triton int8."""
_MODERN_ONLY = ("bf16", "int8", "tf32")
_LONGEST = 1 << 30
"""Chains may have any length here."""

Item = TypeVar("Item")


@dataclass(eq=False)
class _Ready:
    """A precision that can be switched to at once.

    Args:
        model: for positions between frames.
        words: what is computed.
        arithmetic: what most products are computed in.
        make_lane: returns a further lane.
        lanes: those that are there.
    """

    model: VideoModel
    words: str
    arithmetic: str
    make_lane: Callable[[], Lane]
    lanes: list[Lane] = field(default_factory=list)


def _filled(planes: Planes, samples: tuple[NDArray[Any], ...]) -> Planes:
    """Copy samples into planes, and return these."""
    for plane, values in zip(planes, samples, strict=True):
        plane[...] = values
    return planes


class CudaDecoder(TorchDecoder):
    """A `Decoder` (contract there) on a GPU.

    Args:
        model: a network in eval mode on the CPU; its weights are copied.
        spec: the clip that comes out.
        device: a CUDA device. On the CPU everything runs as well, slowly and without graphs, which tests use.
        precision: one of `PRECISIONS`; see the head of this module.
        progress: told how far the calibration of "int8" is, when it has to be made.
        engine: computes convolutions of integers; None for the Triton kernel.
        video_db: PSNR of the video against its source, for `loss.need`; None where nobody knows.
        carried: what the file tells of its calibration.

    Raises:
        UnknownNameError: a precision that does not exist.
        CapabilityError: a precision that this GPU, this network or this installation does not have.
    """

    def __init__(
        self,
        model: VideoModel,
        spec: VideoSpec,
        *,
        device: torch.device,
        precision: str = "fp32",
        progress: Progress | None = None,
        engine: Engine | None = None,
        video_db: float | None = None,
        carried: Records | None = None,
    ) -> None:
        self._progress, self._engine, self._need = progress, engine, need(video_db)
        self._carried = carried or {}
        self._preparing = threading.Lock()
        self._ready: dict[str, _Ready] = {}
        self._changes = 0
        self._graph: Graph | None = None
        self._obstacle = ""
        self._lowered = Lowered([], [])
        try:
            self._graph = trace(model)
            self._lowered = lower(self._graph, _LONGEST)
        except UntraceableError as error:
            self._obstacle = str(error)
        super().__init__(model, spec, device=numbered(device), precision=precision)

    @property
    def backend(self) -> str:
        """Always "cuda"."""
        return "cuda"

    @property
    def arithmetic(self) -> str:
        """What most products are computed in; of "int8" that is bfloat16 where few convolutions can be integers."""
        ready = self._ready.get(self._precision)
        return ready.arithmetic if ready else super().arithmetic

    @property
    def backend_note(self) -> str:
        """What is really computed."""
        on_gpu = self._device.type == "cuda"
        name = torch.cuda.get_device_name(self._device) if on_gpu else "the CPU"
        graph = f"; no CUDA graph: {self._obstacle}" if self._obstacle else ""
        ready = self._ready.get(self._precision)
        return f"{name}, {ready.words if ready else 'closed'}{graph}"

    def prepare(self, precision: str) -> None:
        """Make a precision ready, so that a later `set_precision` takes no time; callable from any thread.

        Raises:
            UnknownNameError: not one of `PRECISIONS`.
            CapabilityError: not available here.
            UsageError: the decoder is closed.
        """
        self._check_precision(precision)
        reference = self._reference
        assert reference is not None
        self._check_capability(precision)
        if precision in self._ready:
            return  # another one, which is being made, may take long
        with self._preparing:  # frames go on being decoded meanwhile
            self._check_open()
            if precision in self._ready:
                return
            try:
                made = self._integers(reference) if precision == "int8" else self._floats(reference, precision)
                made.lanes.append(made.make_lane())
            except torch.OutOfMemoryError:
                raise self._too_large(precision) from None
            self._ready[precision] = made

    def _check_capability(self, precision: str) -> None:
        """Raise `CapabilityError` for a precision that this generation of GPUs does not have."""
        if precision not in _MODERN_ONLY or self._device.type != "cuda":
            return
        capability = torch.cuda.get_device_capability(self._device)
        if capability < _MODERN:
            raise CapabilityError(
                f"precision {precision} needs a GPU of compute capability 8.0; this one has "
                f"{capability[0]}.{capability[1]}; use fp16 or fp32"
            )

    def _too_large(self, precision: str) -> CapabilityError:
        """Return what a user reads when the GPU's memory is full."""
        return CapabilityError(
            f"{self.device} has too little free memory for frames of {self.spec.width}x{self.spec.height} "
            f"in {precision}; use a lower precision, or --device cpu"
        )

    def _floats(self, reference: VideoModel, precision: str) -> _Ready:
        """Return the network itself, in one type."""
        model = lay_channels_last(self._converted(reference, _DTYPES[precision]))
        return _Ready(model, _WORDS[precision], precision.upper(), lambda: self._lane(model, tf32=precision == "tf32"))

    def _integers(self, reference: VideoModel) -> _Ready:
        """Return the network as a program with convolutions of integers; calibrates it, the first time."""
        graph, engine = self._integer_network(reference)
        with on_device(self._device):
            bench = DeviceBench(graph, self._lowered, self._device, engine)
            carried = self._carried.get(RECORD)
            kind = f"{KIND} cuda {graph.digest()}"
            found = calibrate(bench, len(self), self._need, self._progress, kind=kind, carried=carried).peaks
        count = len(bench.convolutions())
        left = sorted(set(self._lowered.unsupported))
        words = f"8-bit weights times 8-bit inputs (W8A8) in {len(found)} of {count} convolutions" + (
            ", bfloat16 in the others" if len(found) < count else ""
        )
        words += f"; in PyTorch: convolutions with {', '.join(left)}" if left else ""
        quantised = integers_from(found)

        def lane() -> Lane:
            program = DeviceProgram(graph, self._lowered, device=self._device, engine=engine, quantised=quantised)
            return self._lane(program, tf32=False)

        arithmetic = "INT8" if has_most(self._lowered, found) else "BF16"
        return _Ready(self._converted(reference, torch.float32), words, arithmetic, lane)

    def _integer_network(self, reference: VideoModel) -> tuple[Graph, Engine]:
        """Return what computes integer products.

        Raises:
            CapabilityError: nothing can, for this network or here.
        """
        if self._graph is None:
            raise CapabilityError(f"no int8 for this {reference.architecture}: {self._obstacle}; use bf16")
        return self._graph, self._engine or triton_engine()

    def calibration_record(self) -> bytes:
        """Return what a file can carry of the calibration of "int8" (`carried`).

        Raises:
            CapabilityError: no integer products here.
            UsageError: the decoder is closed.
        """
        self._check_open()
        assert self._reference is not None
        graph, engine = self._integer_network(self._reference)
        with on_device(self._device):
            bench = DeviceBench(graph, self._lowered, self._device, engine, portable=True)
            kind = f"{RECORD} {KIND} cuda {graph.digest()}"
            found = calibrate(bench, len(self), self._need, self._progress, kind=kind)
        return to_record(bench, found.peaks)

    def _lane(self, network: Callable[[Tensor], Tensor], *, tf32: bool) -> Lane:
        """Return a lane that replays a graph, or one without where the driver refuses to record."""
        if not self._obstacle:
            try:
                return Lane(network, self._device, record=True, tf32=tf32)
            except (torch.OutOfMemoryError, CapabilityError):
                raise
            except RuntimeError as error:  # what cannot be recorded: reading a value back, say
                self._obstacle = str(error).partition("\n")[0]
        return Lane(network, self._device, record=False, tf32=tf32)

    def set_precision(self, precision: str) -> None:
        """Change the arithmetic; the next frame uses it. The first "int8" of a file is calibrated.

        Raises:
            UnknownNameError: not one of `PRECISIONS`.
            CapabilityError: not available here; the decoder stays as it was.
            UsageError: the decoder is closed.
        """
        self.prepare(precision)
        self._model = self._ready[precision].model
        self._precision = precision
        self._changes += 1

    def frame(self, index: int, out: Frame | None = None) -> Frame:
        """Return frame `index` as uint8 (H, W, 3) RGB, in `out` when it is given.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed, or `out` does not fit.
        """
        if out is not None:
            check_buffer(out, (self._spec.height, self._spec.width, 3), np.dtype(np.uint8))
        rounded: Frame = self._start(index, Rgb8()).wait()[0]
        return deliver(rounded, out)

    def float_frame(self, index: int, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return frame `index` as float32 (3, H, W), before rounding and clipping, in `out` when it is given.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed, or `out` does not fit.
        """
        if out is not None:
            check_buffer(out, (3, self._spec.height, self._spec.width), np.dtype(np.float32))
        values: NDArray[np.float32] = self._start(index, FloatPlanes()).wait()[0]
        return deliver(values, out)

    def device_frame(self, index: int) -> Tensor:
        """Return frame `index` on the device, float32 (1, 3, H, W); the next frame may overwrite it.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed.
        """
        index = plain_index(index)
        self._network().check_index(index)
        return self._ready[self._precision].lanes[0].compute(index)

    def yuv_frame(self, index: int, out: Planes) -> Planes:
        """Fill `out` with frame `index` as samples of YUV, made on the device; see `Decoder.yuv_frame`."""
        return _filled(out, self._start(index, self._yuv(out)).wait())

    def _yuv(self, planes: Planes) -> YuvPlanes:
        """Return what fills planes."""
        bit_depth, subsampled = check_planes(planes, self._spec.height, self._spec.width)
        colour = self._spec.colour
        return YuvPlanes(matrix=colour.matrix, colour_range=colour.range, bit_depth=bit_depth, subsampled=subsampled)

    def stage_times(self, index: int = 0) -> tuple[StageTime, ...]:
        """Return the times of the network and of what brings its frame to the host; see `Decoder.stage_times`."""
        rounds = []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            frame = self.device_frame(index)
            if frame.is_cuda:  # the whole device cannot be waited for while another decoder is being opened
                torch.cuda.current_stream(self._device).synchronize()
            network = time.perf_counter() - begin
            begin = time.perf_counter()
            self.frame(index)
            rest = max(time.perf_counter() - begin - network, 0.0)
            rounds.append([StageTime("network", 1000 * network), StageTime("convert and copy", 1000 * rest)])
        return best_of(rounds)

    def frame_at(self, position: Fraction) -> Frame:
        """Return the picture at `position`, in frames, as uint8 (H, W, 3) RGB; in float32 where "int8" is set.

        Raises:
            FrameIndexError: position outside 0 .. T - 1.
            CapabilityError: between frames, and the architecture is not continuous in time.
            UsageError: the decoder is closed.
        """
        with on_device(self._device), allow_tf32(self._precision == "tf32"):
            return super().frame_at(position)

    def frames(self, indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """Yield the frames at `indices` in that order, all frames when None; the next two are decoded meanwhile.

        Raises:
            FrameIndexError: an index outside 0 .. T - 1, when its turn comes.
            UsageError: the decoder is closed.
        """
        self._cancelled.clear()
        self._check_open()
        wanted = range(len(self)) if indices is None else indices
        return self._streamed(((index, Rgb8()) for index in wanted), lambda made: made[0])

    def yuv_frames(self, targets: Iterable[tuple[int, Planes]]) -> Iterator[Planes]:
        """Fill planes with frames, the next two of which are decoded meanwhile; see `Decoder.yuv_frames`."""
        self._cancelled.clear()
        self._check_open()
        given: deque[Planes] = deque()

        def wanted() -> Iterator[tuple[int, Output]]:
            for index, planes in targets:
                given.append(planes)
                yield index, self._yuv(planes)

        return self._streamed(wanted(), lambda made: _filled(given.popleft(), made))

    def _streamed(
        self, following: Iterator[tuple[int, Output]], finish: Callable[[tuple[NDArray[Any], ...]], Item]
    ) -> Iterator[Item]:
        """Yield frames, with one under way in each lane."""
        under_way: deque[tuple[int, Output, int, Pending | None]] = deque()
        failed: list[Exception] = []
        numbers = cycle((0, 1))
        while not self._cancelled.is_set():
            while len(under_way) < 2 and not failed:
                try:
                    index, output = next(following)
                except StopIteration:
                    break
                except UsageError as error:  # planes that do not fit must not end the stream before their turn
                    failed.append(error)
                    break
                there = 0 <= index < len(self)  # nor an index that is not there
                pending = self._start(index, output, next(numbers)) if there else None
                under_way.append((index, output, self._changes, pending))
            if not under_way:
                if failed:
                    raise failed[0]
                return
            index, output, made_under, pending = under_way.popleft()
            if pending is None or made_under != self._changes:
                pending = self._start(index, output)
            yield finish(pending.wait())

    def _start(self, index: int, output: Output, number: int = 0) -> Pending:
        """Start a frame in a lane; the second one is made when it is first wanted, and memory allows it."""
        index = plain_index(index)
        self._network().check_index(index)
        ready = self._ready[self._precision]
        if number == len(ready.lanes) == 1:
            try:
                ready.lanes.append(ready.make_lane())
            except torch.OutOfMemoryError:
                ready.lanes.append(ready.lanes[0])
        try:
            return ready.lanes[number].start(index, output)
        except torch.OutOfMemoryError:  # others have taken what was free
            raise self._too_large(self._precision) from None

    def close(self) -> None:
        """Free weights and device memory; idempotent."""
        with self._preparing:
            super().close()
            while self._ready:
                for lane in self._ready.popitem()[1].lanes:  # frames that nobody waited for
                    lane.finish()
                    del lane
        if self._device.type == "cuda":
            return_memory()
