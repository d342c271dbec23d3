"""`open_decoder`: the one way to a decoder, and the choice of its backend."""

from pathlib import Path

from nervplay.codec import NeuralVideo, open_nerv
from nervplay.decode.calibration import Progress
from nervplay.decode.decoder import PRECISIONS, Decoder
from nervplay.decode.native_decoder import NativeDecoder
from nervplay.decode.segmented import SegmentedDecoder
from nervplay.decode.tiles import DEFAULT_BUDGET, Tiles, choose_tiles, device_memory
from nervplay.decode.torch_decoder import TorchDecoder, resolve_device
from nervplay.decode.torch_fast import TorchFastDecoder
from nervplay.errors import CapabilityError, UnknownNameError, UsageError

__all__ = ["BACKENDS", "open_decoder"]

BACKENDS = ("auto", "native", "torch-fast", "torch")
"""Names of backends: "torch" is the reference, eager PyTorch as the papers ran it; "torch-fast" the same with channels
innermost; "native" our own kernels on the CPU; "auto" the fastest that can do it."""


def open_decoder(
    video: NeuralVideo | str | Path,
    *,
    device: str = "auto",
    precision: str = "fp32",
    backend: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
    memory_budget: int | None = None,
) -> Decoder:
    """Open a decoder for a neural video.

    Args:
        video: an opened video, or the path of a .nerv file.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: one of `PRECISIONS`.
        backend: one of `BACKENDS`; `Decoder.backend_note` says why "auto" took what it took.
        threads: processor cores to use; None for all.
        progress: called with (steps done, steps in all) while "int8" is calibrated, which the first use of a file does.
        memory_budget: bytes of maps that may live at once; a network that would need more is decoded in rectangles,
            where it can (HiNeRV, SRNeRV). None for `tiles.DEFAULT_BUDGET` on the CPU, a quarter of a GPU's memory.

    Raises:
        MissingInputError, BitstreamError: a file that cannot be opened.
        UsageError, UnknownNameError: not a device, not a precision, not a backend, no threads, no memory.
        CapabilityError: a device, precision or backend that is not available here; frames beyond the memory.
    """
    for kind, name, known in (("precision", precision, PRECISIONS), ("backend", backend, BACKENDS)):
        if name not in known:
            raise UnknownNameError(kind, name, known)
    if threads is not None and threads < 1:
        raise UsageError(f"{threads} threads cannot decode; give 1 or more, or leave it out")
    if memory_budget is not None and memory_budget < 1:
        raise UsageError(f"a memory budget of {memory_budget} bytes holds nothing; give 1 or more, or leave it out")
    place = resolve_device(device)
    if place.type != "cpu" and backend not in ("auto", "torch"):
        raise CapabilityError(f"backend {backend} runs on the CPU only; use --device cpu or --backend torch")
    if not isinstance(video, NeuralVideo):
        video = open_nerv(video)

    def open_part(part: NeuralVideo, precision: str) -> Decoder:
        memory = device_memory(place)
        default = DEFAULT_BUDGET if place.type == "cpu" else memory // 4
        tiles = choose_tiles(part.model, memory_budget or default, memory)
        if backend == "torch" or place.type != "cpu":
            return TorchDecoder(part.model, part.spec, device=place, precision=precision, threads=threads, tiles=tiles)
        return _open_on_cpu(part, precision, backend=backend, threads=threads, progress=progress, tiles=tiles)

    if len(video.file.segments) == 1:
        return open_part(video, precision)
    return SegmentedDecoder(
        video.file.segments,
        video.spec,
        lambda number, precision: open_part(video.segment(number), precision),
        precision=precision,
    )


def _open_on_cpu(
    video: NeuralVideo,
    precision: str,
    *,
    backend: str,
    threads: int | None,
    progress: Progress | None,
    tiles: Tiles,
) -> Decoder:
    """Open a decoder for one network on the CPU: our kernels, or the fast PyTorch where they cannot do it.

    Raises:
        CapabilityError: a precision or backend that is not available here.
    """
    note = ""
    if backend != "torch-fast":
        try:
            return NativeDecoder(
                video.model, video.spec, precision=precision, threads=threads, progress=progress, tiles=tiles
            )
        except CapabilityError as error:
            if backend == "native" or precision == "int8":
                raise
            note = str(error)
    return TorchFastDecoder(video.model, video.spec, precision=precision, threads=threads, note=note, tiles=tiles)
