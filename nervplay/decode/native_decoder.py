"""The decoder on the native kernels: float32 by Winograd's method, or products of 16-bit integers.

Precisions, by what is really computed:
    fp32    float32; frames within 1e-4 of the reference
    bf16    float32 as well: there is no bfloat16 kernel, and float32 is faster here than PyTorch's bfloat16
    int8    the file's weights (8 bits, as everywhere) times inputs of 15 bits, as 16-bit integers with sums of 32 bits
            (W8A16), after Winograd's transform, or directly in a head of 3x3 and in large convolutions of 1x1
            (`plan.integer_candidates`); transforms, biases and activations in float32. Between convolutions of a net
            maps are such integers, too, of 14 bits, and so is the transform of these (`native/narrow.h`)

Threads: each decoder has its own, `threads` in all, the caller's among them; they wait without turning when no frame is
asked for. Which of them computes what is left open and changes no byte. Operations that the kernels lack run in PyTorch
with as many threads.
"""

import logging
import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nervplay.choices import GPU_PRECISIONS
from nervplay.decode.base import plain_index
from nervplay.decode.buffers import check_buffer
from nervplay.decode.calibration import Progress, calibrate
from nervplay.decode.calibration_cache import Calibration
from nervplay.decode.carried import Records, every_convolution, has_most, to_record
from nervplay.decode.graph import Graph, UntraceableError, trace
from nervplay.decode.lowering import Conv, lower
from nervplay.decode.native.library import MAX_CHAIN, Pool, kernels, load
from nervplay.decode.native_bench import Workbench
from nervplay.decode.nets import Net, Netted, find_nets
from nervplay.decode.planes import write_yuv
from nervplay.decode.prepared import PreparedDecoder
from nervplay.decode.program import Program
from nervplay.decode.stages import ROUNDS, StageTime, best_of, total
from nervplay.decode.streams import Streamed, join, streamed_bytes
from nervplay.decode.tiles import Tiles
from nervplay.decode.torch_decoder import torch_threads
from nervplay.decode.weave import weave
from nervplay.errors import CapabilityError
from nervplay.models import VideoModel
from nervplay.video.source import Frame, Planes
from nervplay.video.spec import VideoSpec

__all__ = ["NET_RECORD", "RECORD", "STREAM_RECORD", "NativeDecoder", "core_count", "native_bytes"]

Float = NDArray[np.float32]

_LOG = logging.getLogger(__name__)

RECORD = "w8a16 1"
"""Name of what is cached and what a file carries; another number when that changes."""
STREAM_RECORD = "w8a16 2"
"""The same of a network with streams: of the layers of a step, too."""
NET_RECORD = "w8a16 3"
"""The same of a network with nets: of inputs before Winograd's transform, too."""


def native_bytes(graph: Graph) -> int:
    """Return the bytes of maps that live at once while the kernels run a network, about."""
    return streamed_bytes(graph, join(graph, lower(graph, MAX_CHAIN, volumes=True), MAX_CHAIN))


def core_count() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class NativeDecoder(PreparedDecoder[Program]):
    """A `Decoder` (contract there) on the native kernels.

    Args:
        model: a network in eval mode on the CPU; its weights are read once and stay as they are.
        spec: the clip that comes out.
        precision: one of `PRECISIONS`; see the head of this module.
        threads: processor cores to use; None for all.
        instructions: a name of `native.library.kernels`; None for the best.
        progress: told how far the calibration of "int8" is, when it has to be made.
        tiles: the rectangles that frames are made in; None for whole frames.
        note: why this backend was taken, in one line; empty where it was asked for.
        video_db: PSNR of the video against its source, for `loss.need`; None where nobody knows.
        carried: what the file tells of its calibration.

    Raises:
        CapabilityError: no kernels here, or a network that they cannot run; the message says why.
        UnknownNameError: a precision that does not exist.
    """

    def __init__(
        self,
        model: VideoModel,
        spec: VideoSpec,
        *,
        precision: str = "fp32",
        threads: int | None = None,
        instructions: str | None = None,
        progress: Progress | None = None,
        tiles: Tiles | None = None,
        note: str = "",
        video_db: float | None = None,
        carried: Records | None = None,
    ) -> None:
        self._why, self._carried, self._narrow = note, carried or {}, 0
        self._isa = kernels(instructions)
        tiles = tiles or Tiles.whole(spec.height, spec.width)
        try:
            self._graph = trace(tiles.flat(model))
        except UntraceableError as error:
            raise CapabilityError(f"the native kernels cannot run this {model.architecture}: {error}") from None
        self._calibration = progress
        count = threads or core_count()
        self._lowered = lower(self._graph, MAX_CHAIN, volumes=True)
        self._streamed = join(self._graph, self._lowered, MAX_CHAIN)
        self._netted = find_nets(self._graph, self._streamed)
        self._pool = Pool(count)
        super().__init__(model, spec, precision=precision, threads=count, tiles=tiles, video_db=video_db)

    @property
    def backend(self) -> str:
        """Always "native"."""
        return "native"

    @property
    def arithmetic(self) -> str:
        """INT16 where most products are of 16 bits, otherwise FP32; see the head of this module."""
        return "INT16" if self._precision == "int8" and self._mostly else "FP32"

    @property
    def backend_note(self) -> str:
        """What is really computed, and what PyTorch does of it."""
        count, fewest = len(every_convolution(self._lowered)), "13 to " * bool(self._streamed.inside)
        fewest = fewest or "14 to " * bool(self._narrow)
        words = {
            "fp32": "float32",
            "bf16": "float32, which is faster here than bfloat16",
            "int8": f"8-bit weights times {fewest}15-bit inputs as 16-bit integers (W8A16) in "
            f"{self._integers} of {count} convolutions, float32 in the others",
        }
        left = sorted(set(self._lowered.unsupported))
        rest = f"; in PyTorch: convolutions with {', '.join(left)}" if left else ""
        why = f"; {self._why}" if self._why else ""
        return f"{self._isa.name}, {self._threads} threads, {words[self._precision]}{rest}{why}"

    def _computed(self, precision: str) -> str:
        """Return "int8" or "fp32"."""
        if precision in GPU_PRECISIONS:
            raise CapabilityError(f"precision {precision} is for GPUs only; use fp32, bf16 or int8")
        return "int8" if precision == "int8" else "fp32"

    def _program(self, name: str) -> Program:
        """Return what computes 16-bit products or float32."""
        peaks = None
        if name == "int8":
            # Files that were calibrated before there were narrow maps say nothing of these.
            older = self.record == NET_RECORD and RECORD in self._carried and NET_RECORD not in self._carried
            record = RECORD if older else self.record
            with self._bench(record) as bench:
                peaks = self._calibrated(bench, record, self._carried.get(record)).peaks
        program = self._compiled(self._netted, peaks)
        if name == "int8":
            integers = program.integer_products
            self._integers, self._narrow = len(integers), program.narrow_maps
            self._mostly = has_most(self._lowered, integers)
        return program

    def _bench(self, record: str) -> Workbench:
        return Workbench(
            self._graph,
            self._lowered,
            self._streamed,
            self._netted,
            isa=self._isa,
            threads=self._threads or 1,
            tiles=self._tiles,
            maps=record == NET_RECORD,
        )

    @property
    def record(self) -> str:
        """Name of `calibration_record`."""
        if self._streamed.inside:
            return STREAM_RECORD
        return NET_RECORD if any(isinstance(step, Net) for step in self._netted.steps) else RECORD

    def _calibrated(self, bench: Workbench, record: str, carried: bytes | None) -> Calibration:
        kind = f"{record} {self._graph.digest()}"
        finer = bench.without_maps if record == NET_RECORD else None
        return calibrate(bench, len(self), self._need, self._calibration, kind=kind, carried=carried, finer=finer)

    def calibration_record(self) -> bytes:
        """Return what a file can carry of the calibration; see `PreparedDecoder`."""
        with self._bench(self.record) as bench:
            return to_record(bench, self._calibrated(bench, self.record, None).peaks)

    def _compiled(
        self, streamed: Streamed | Netted, peaks: Mapping[Conv, Float] | None, longest: int = MAX_CHAIN
    ) -> Program:
        woven = weave(self._graph, streamed, longest)
        return Program(self._graph, woven, isa=self._isa, pool=self._pool, threads=self._threads or 1, peaks=peaks)

    def frame(self, index: int, out: Frame | None = None) -> Frame:
        """Return frame `index` as uint8 (H, W, 3) RGB, in `out` when it is given.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed, or `out` does not fit.
        """
        shape = (self._spec.height, self._spec.width, 3)
        if out is not None:
            check_buffer(out, shape, np.dtype(np.uint8))
        with self._lock:
            planes = self._run(index)[0].contiguous()
            rgb = np.empty(shape, np.uint8) if out is None else out
            load().nk_rgb8(self._pool.handle, self._isa.number, planes.data_ptr(), shape[0], shape[1], rgb.ctypes.data)
        return rgb

    def float_frame(self, index: int, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return frame `index` as float32 (3, H, W), before rounding and clipping, in `out` when it is given.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed, or `out` does not fit.
        """
        shape = (3, self._spec.height, self._spec.width)
        if out is not None:
            check_buffer(out, shape, np.dtype(np.float32))
        with self._lock:
            values = np.empty(shape, np.float32) if out is None else out
            values[...] = self._run(index)[0].numpy()  # the kernels' own buffer is overwritten by the next frame
        return values

    def yuv_frame(self, index: int, out: Planes) -> Planes:
        """Fill `out` with frame `index` as samples of YUV, and return it; see `Decoder.yuv_frame`."""
        with self._lock:
            write_yuv(self._run(index)[0].contiguous().numpy(), out, self._spec.colour)
        return out

    def stage_times(self, index: int = 0) -> tuple[StageTime, ...]:
        """Return the times of convolutions and parts of streams one by one, not chained; see `Decoder.stage_times`."""
        index = plain_index(index)
        with self._lock, torch_threads(self._threads):
            self._network().check_index(index)
            known = self._in_use().peaks
            places = {conv.target: peak for conv, peak in known.items()}
            apart = lower(self._graph, 1, volumes=True)
            convolutions = every_convolution(apart)
            peaks = {conv: places[conv.target] for conv in convolutions if conv.target in places}
            program = self._compiled(join(self._graph, apart, 1), peaks, 1)
            items = list(self._tiles.items(index))
            return best_of([total([program.times(item) for item in items]) for _ in range(ROUNDS)])

    def _run(self, index: int) -> Tensor:
        """Return frame `index`, float32 (1, 3, H, W), which the next call overwrites."""
        index = plain_index(index)
        self._network().check_index(index)
        with torch_threads(self._threads):
            return self._tiles.join(map(self._in_use().run, self._tiles.items(index)))

    def close(self) -> None:
        """Free weights and threads; idempotent. Waits for a frame that is being decoded."""
        super().close()
        with self._lock:  # frames are refused by now
            self._pool.close()
