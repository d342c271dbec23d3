"""The decoder on the native kernels: float32 by Winograd's method, or products of 16-bit integers.

Precisions, by what is really computed:
    fp32    float32; frames within 1e-4 of the reference
    bf16    float32 as well: there is no bfloat16 kernel, and float32 is faster here than PyTorch's bfloat16
    int8    the file's weights (8 bits, as everywhere) times inputs of 15 bits, as 16-bit integers with sums of 32 bits
            (W8A16), after Winograd's transform, or directly in a head of 3x3 (`plan.integer_candidates`); transforms,
            biases and activations in float32

Threads: each decoder has its own, `threads` in all, the caller's among them; they wait without turning when no frame is
asked for. Which of them computes what is left open and changes no byte. Operations that the kernels lack run in PyTorch
with as many threads.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nervplay.decode.buffers import check_buffer
from nervplay.decode.calibration import Progress, calibrate
from nervplay.decode.calibration_cache import Calibration
from nervplay.decode.carried import Records, every_convolution, from_powers, to_powers, to_record
from nervplay.decode.decoder import GPU_PRECISIONS
from nervplay.decode.graph import Graph, UntraceableError, trace
from nervplay.decode.lowering import Conv, Lowered, lower
from nervplay.decode.native.library import MAX_CHAIN, Isa, Pool, kernels, load
from nervplay.decode.native.plan import integer_candidates, matrix_share, peak_shape, plan_chain
from nervplay.decode.planes import write_yuv
from nervplay.decode.prepared import PreparedDecoder
from nervplay.decode.program import Program, Watch
from nervplay.decode.stages import ROUNDS, StageTime, best_of, total
from nervplay.decode.tiles import Tiles
from nervplay.decode.torch_decoder import torch_threads
from nervplay.errors import CapabilityError
from nervplay.models import VideoModel
from nervplay.video.source import Frame, Planes
from nervplay.video.spec import VideoSpec

__all__ = ["NativeDecoder", "core_count"]

Float = NDArray[np.float32]

_LOG = logging.getLogger(__name__)

RECORD = "w8a16 1"
"""Name of what is cached and what a file carries; another number when that changes."""
_PEAK_BITS, _PEAKS_PER_OCTAVE = 8, 2


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
        most_matrices: part of the work, 0 .. 1, that may be matrix products; a network of more is refused.

    Raises:
        CapabilityError: no kernels here, or a network that they cannot run, or not well; the message says why.
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
        most_matrices: float = 1.0,
    ) -> None:
        self._why, self._carried = note, carried or {}
        self._isa = kernels(instructions)
        tiles = tiles or Tiles.whole(spec.height, spec.width)
        try:
            self._graph = trace(tiles.flat(model))
        except UntraceableError as error:
            raise CapabilityError(f"the native kernels cannot run this {model.architecture}: {error}") from None
        self._calibration = progress
        count = threads or core_count()
        self._lowered = lower(self._graph, MAX_CHAIN)
        matrices = matrix_share(every_convolution(self._lowered))
        if matrices > most_matrices:
            what = f"{matrices:.0%} of the work of this {model.architecture} are matrix products"
            raise CapabilityError(f"{what}, at which PyTorch is faster than the native kernels")
        self._pool = Pool(count)
        super().__init__(model, spec, precision=precision, threads=count, tiles=tiles, video_db=video_db)

    @property
    def backend(self) -> str:
        """Always "native"."""
        return "native"

    @property
    def arithmetic(self) -> str:
        """INT16 where convolutions have 16-bit products, otherwise FP32; see the head of this module."""
        return "INT16" if self._precision == "int8" and self._integers else "FP32"

    @property
    def backend_note(self) -> str:
        """What is really computed, and what PyTorch does of it."""
        count = sum(len(step) for step in self._lowered.steps if isinstance(step, list))
        words = {
            "fp32": "float32",
            "bf16": "float32, which is faster here than bfloat16",
            "int8": "8-bit weights times 15-bit inputs as 16-bit integers (W8A16) in "
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
            with self._bench() as bench:
                peaks = self._calibrated(bench, self._carried.get(RECORD)).peaks
        program = self._compiled(self._lowered, peaks)
        if name == "int8":
            self._integers = program.integer_products
        return program

    def _bench(self) -> "_Workbench":
        return _Workbench(self._graph, self._lowered, self._isa, self._threads or 1, self._tiles)

    def _calibrated(self, bench: "_Workbench", carried: bytes | None) -> Calibration:
        return calibrate(bench, len(self), self._need, self._calibration, kind=RECORD, carried=carried)

    def calibration_record(self) -> bytes:
        """Return what a file can carry of the calibration; see `PreparedDecoder`."""
        with self._bench() as bench:
            return to_record(bench, self._calibrated(bench, None).peaks)

    def _compiled(self, lowered: Lowered, peaks: Mapping[Conv, Float] | None) -> Program:
        return Program(self._graph, lowered, isa=self._isa, pool=self._pool, threads=self._threads or 1, peaks=peaks)

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
        """Return the times of the convolutions one by one, not chained as for frames; see `Decoder.stage_times`."""
        with self._lock, torch_threads(self._threads):
            self._network().check_index(index)
            known = self._in_use().peaks
            places = {(conv.source, conv.weight.shape): peak for conv, peak in known.items()}
            apart = lower(self._graph, 1)
            convolutions = [conv for step in apart.steps if isinstance(step, list) for conv in step]
            peaks = {
                conv: places[conv.source, conv.weight.shape]
                for conv in convolutions
                if (conv.source, conv.weight.shape) in places
            }
            program = self._compiled(apart, peaks)
            items = list(self._tiles.items(index))
            return best_of([total([program.times(item) for item in items]) for _ in range(ROUNDS)])

    def _run(self, index: int) -> Tensor:
        """Return frame `index`, float32 (1, 3, H, W), which the next call overwrites."""
        self._network().check_index(index)
        with torch_threads(self._threads):
            return self._tiles.join(map(self._in_use().run, self._tiles.items(index)))

    def close(self) -> None:
        """Free weights and threads; idempotent. Waits for a frame that is being decoded."""
        super().close()
        with self._lock:  # frames are refused by now
            self._pool.close()


class _Workbench:
    """Runs a network with each convolution by itself, to look at what goes in (`calibration.Bench`)."""

    def __init__(self, graph: Graph, lowered: Lowered, isa: Isa, threads: int, tiles: Tiles) -> None:
        self._tiles = tiles
        self._graph, self._whole, self._isa, self._threads = graph, lowered, isa, threads
        self._apart = lower(graph, 1)
        self._pool = Pool(threads)
        self._peaks: dict[Conv, Float] = {}
        chains = [step for step in lowered.steps if isinstance(step, list)]
        self._candidates = {conv: kind for chain in chains for conv, kind in integer_candidates(chain).items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self._pool.close()

    def convolutions(self) -> Sequence[Conv]:
        """Return the convolutions that could have 16-bit products, in order of execution."""
        return list(self._candidates)

    def numbered(self) -> Sequence[Conv]:
        """Return all convolutions of the network, in order of execution."""
        return every_convolution(self._whole)

    def rests(self) -> Sequence[str]:
        """Return what the rest is computed in."""
        return ("float32",)

    def sizes(self, conv: Conv) -> Sequence[tuple[int, int]]:
        """Return (count, bits) of what a file carries of a convolution: its peaks, channel by channel."""
        return [(int(np.prod(self._shape(conv)[:-1])) * conv.weight.shape[1], _PEAK_BITS)]

    def to_codes(self, conv: Conv, found: Float) -> Sequence[NDArray[Any]]:
        """Return peaks as powers of the root of 2, each the next above."""
        channels = conv.weight.shape[1]
        by_channel = found[..., :channels].reshape(-1, channels).T
        return [to_powers(by_channel.ravel(), _PEAKS_PER_OCTAVE, _PEAK_BITS)]

    def from_codes(self, conv: Conv, codes: Sequence[NDArray[Any]]) -> Float:
        """Return peaks, float32 (positions, padded channels)."""
        peak, channels = np.zeros(self._shape(conv), np.float32), conv.weight.shape[1]
        values = from_powers(codes[0], _PEAKS_PER_OCTAVE, _PEAK_BITS).reshape(channels, -1).T
        peak[..., :channels] = values.reshape(*peak.shape[:-1], channels)
        return peak

    def _shape(self, conv: Conv) -> tuple[int, ...]:
        """Return the shape of the peaks of a convolution, channels last."""
        return peak_shape(conv, self._candidates.get(conv, "wino"))  # a file may name any

    def measure(self, index: int) -> None:
        """Run a frame and raise the peaks of each of these convolutions."""
        places = {conv.source: conv for conv in self.convolutions()}

        def watch(conv: Conv, maps: Tensor) -> None:
            wanted = places.get(conv.source)
            if wanted is None or wanted.weight.shape != conv.weight.shape:
                return
            peak = self._peaks.setdefault(wanted, np.zeros(self._shape(wanted), np.float32))
            if self._candidates[wanted] == "head":
                np.maximum(peak, maps.abs().amax(dim=(0, 1, 2)).numpy(), out=peak)
                return
            ops = plan_chain([conv], self._isa, 1).ops
            for picture in maps:
                load().nk_peak(self._isa.number, ops, picture.data_ptr(), peak.ctypes.data)

        program = self._program(self._apart, None, watch)
        for item in self._tiles.items(index):
            program.run(item)

    def found(self, conv: Conv) -> Float:
        """Return the largest magnitudes of a convolution's input, as its products need and a file would carry them."""
        return self.from_codes(conv, self.to_codes(conv, self._peaks[conv]))

    def frame(self, index: int, peaks: Mapping[Conv, Float], rest: str = "float32") -> Tensor:  # noqa: ARG002 - one
        """Return a frame, (1, 3, H, W), in which the convolutions of `peaks` have 16-bit products."""
        return self._tiles.join(map(self._program(self._whole, peaks, None).run, self._tiles.items(index)))

    def _program(self, lowered: Lowered, peaks: Mapping[Conv, Float] | None, watch: Watch | None) -> Program:
        """Return a program of this network."""
        return Program(
            self._graph, lowered, isa=self._isa, pool=self._pool, threads=self._threads, peaks=peaks, watch=watch
        )
