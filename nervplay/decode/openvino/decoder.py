"""The decoder on OpenVINO; frames between two indices are the reference's.

Precisions, by what is really computed:
    fp32    float32; frames within 1e-4 of the reference
    bf16    bfloat16 products with float32 sums, where the processor has them
    int8    8-bit weights times 8-bit inputs with 32-bit sums (W8A8) in the convolutions that calibration allows, the
            rest in bfloat16, or float32 where the processor lacks that or the video cannot bear it; on x86 without VNNI
            weights have less than 8 bits where two of them are large (`quantise`)
"""

from torch import Tensor

from nervplay.decode.base import DecoderBase, plain_index
from nervplay.decode.calibration import Progress, calibrate
from nervplay.decode.carried import Records, has_most, to_record
from nervplay.decode.graph import UntraceableError, trace
from nervplay.decode.lowering import lower
from nervplay.decode.native_decoder import core_count
from nervplay.decode.openvino.bench import OpenvinoBench
from nervplay.decode.openvino.program import OpenvinoProgram
from nervplay.decode.openvino.runtime import has_bfloat16, openvino, sums_in_16_bits
from nervplay.decode.openvino.translate import write
from nervplay.decode.prepared import PreparedDecoder
from nervplay.decode.stages import StageTime
from nervplay.decode.tiles import Tiles
from nervplay.decode.torch_decoder import torch_threads
from nervplay.decode.w8a8 import KIND, RECORD
from nervplay.errors import CapabilityError
from nervplay.models import VideoModel
from nervplay.video.spec import VideoSpec

__all__ = ["OpenvinoDecoder"]

_PRECISIONS = ("fp32", "bf16", "int8")


class OpenvinoDecoder(PreparedDecoder[OpenvinoProgram]):
    """A `Decoder` (contract there) that computes with OpenVINO on the CPU.

    Args:
        model: a network in eval mode on the CPU; its weights are read once and stay as they are.
        spec: the clip that comes out.
        precision: "fp32", "bf16" or "int8"; see the head of this module.
        threads: processor cores to use; None for all.
        progress: told how far the calibration of "int8" is, when it has to be made.
        tiles: the rectangles that frames are made in; None for whole frames.
        video_db: PSNR of the video against its source, for `loss.need`; None where nobody knows.
        carried: what the file tells of its calibration.

    Raises:
        CapabilityError: OpenVINO is not here, or the network has no counterpart there; a precision it lacks.
        UnknownNameError: a precision that does not exist.
    """

    def __init__(
        self,
        model: VideoModel,
        spec: VideoSpec,
        *,
        precision: str = "fp32",
        threads: int | None = None,
        progress: Progress | None = None,
        tiles: Tiles | None = None,
        video_db: float | None = None,
        carried: Records | None = None,
    ) -> None:
        openvino()
        tiles = tiles or Tiles.whole(spec.height, spec.width)
        self._progress, self._carried = progress, carried or {}
        self._rest = "float32"
        try:
            self._graph = trace(tiles.flat(model))
            self._lowered = lower(self._graph, 1)
            self._floats = write(self._graph, self._lowered)
        except UntraceableError as error:
            raise CapabilityError(f"OpenVINO cannot run this {model.architecture}: {error}") from None
        super().__init__(
            model, spec, precision=precision, threads=threads or core_count(), tiles=tiles, video_db=video_db
        )

    @property
    def backend(self) -> str:
        """Always "openvino"."""
        return "openvino"

    @property
    def arithmetic(self) -> str:
        """What most products are computed in; of "int8" maybe what stands for those that are no integers."""
        rest = {"bfloat16": "BF16", "float32": "FP32"}[self._rest]
        return super().arithmetic if self._precision != "int8" or self._mostly else rest

    @property
    def backend_note(self) -> str:
        """What is really computed."""
        count = sum(len(step) for step in self._lowered.steps if isinstance(step, list))
        weights = "8-bit weights, paired for want of VNNI," if sums_in_16_bits() else "8-bit weights"
        words = {
            "fp32": "float32",
            "bf16": "bfloat16 products",
            "int8": f"{weights} times 8-bit inputs (W8A8) in "
            f"{self._integers} of {count} convolutions, {self._rest} in the others",
        }
        return f"OpenVINO, {self._threads} threads, {words[self._precision]}"

    def _computed(self, precision: str) -> str:
        """Return the name of a precision that there is."""
        if precision not in _PRECISIONS:
            raise CapabilityError(f"OpenVINO has no precision {precision} here; use {', '.join(_PRECISIONS)}")
        if precision == "bf16" and not has_bfloat16():
            raise CapabilityError("this processor has no bfloat16 products; use --precision fp32 or int8")
        return precision

    def _program(self, name: str) -> OpenvinoProgram:
        """Return what computes a precision."""
        threads = self._threads or 1
        if name != "int8":
            return OpenvinoProgram(self._graph, self._floats, threads, bfloat16=name == "bf16")
        bench = self._bench()
        found = calibrate(
            bench, len(self), self._need, self._progress, kind=self._kind(), carried=self._carried.get(RECORD)
        )
        program = bench.program(found.peaks, found.rest)
        self._integers, self._rest = program.integer_products(), found.rest
        self._mostly = has_most(self._lowered, found.peaks)
        return program

    def _bench(self, *, portable: bool = False) -> OpenvinoBench:
        return OpenvinoBench(
            self._graph,
            self._lowered,
            self._threads or 1,
            self._tiles,
            bfloat16=has_bfloat16(),
            portable=portable,
            paired=sums_in_16_bits(),
        )

    def _kind(self) -> str:
        """Return what tells what is found here from what others find: it holds for processors that compute alike."""
        facts = {"bfloat16": has_bfloat16(), "paired": sums_in_16_bits()}
        return " ".join([KIND, "openvino", *(name for name, holds in facts.items() if holds), self._graph.digest()])

    def calibration_record(self) -> bytes:
        """Return what a file can carry of the calibration; see `PreparedDecoder`."""
        bench = self._bench(portable=True)
        found = calibrate(bench, len(self), self._need, self._progress, kind=f"{RECORD} {self._kind()}")
        return to_record(bench, found.peaks)

    def _run(self, index: int) -> Tensor:
        """Return frame `index`, float32 (1, 3, H, W)."""
        index = plain_index(index)
        with self._lock, torch_threads(self._threads):
            self._network().check_index(index)
            return self._tiles.join(map(self._in_use().run, self._tiles.items(index)))

    def stage_times(self, index: int = 0) -> tuple[StageTime, ...]:
        """Return the time of a whole frame: OpenVINO fuses the stages; see `Decoder.stage_times`."""
        return DecoderBase.stage_times(self, index)
