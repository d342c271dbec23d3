"""`open_decoder`: the one way to a decoder, and the choice of its backend."""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch

from nervplay.choices import BACKENDS, MOST_THREADS, PRECISIONS
from nervplay.codec import NeuralVideo, open_nerv
from nervplay.decode.base import plain_index
from nervplay.decode.cache import CachedDecoder, check_cache
from nervplay.decode.calibration import Progress
from nervplay.decode.carried import carried_records
from nervplay.decode.cuda.decoder import CudaDecoder
from nervplay.decode.cuda.usable import why_not_usable
from nervplay.decode.decoder import Decoder
from nervplay.decode.footprint import peak_bytes
from nervplay.decode.graph import Graph
from nervplay.decode.loss import fitted_db
from nervplay.decode.native.library import why_not
from nervplay.decode.native_decoder import NativeDecoder, native_bytes
from nervplay.decode.openvino import OpenvinoDecoder
from nervplay.decode.segmented import SegmentedDecoder
from nervplay.decode.tiles import DEFAULT_BUDGET, Tiles, choose_tiles, device_memory
from nervplay.decode.torch_decoder import TorchDecoder, resolve_device
from nervplay.decode.torch_fast import TorchFastDecoder
from nervplay.errors import CapabilityError, UnknownNameError, UsageError

__all__ = ["open_decoder"]

_PLACES = {"cuda": "cuda", "native": "cpu", "openvino": "cpu", "torch-fast": "cpu"}
"""Kind of device of the backends that have only one."""

_COMPILING = logging.getLogger("nervplay.compiling")  # which commands and the player show

Measure = Callable[[Graph], int]
"""Tells the bytes of maps that live at once in an engine."""


def open_decoder(
    video: NeuralVideo | str | Path,
    *,
    device: str = "auto",
    precision: str = "fp32",
    backend: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
    memory_budget: int | None = None,
    cache_bytes: int = 0,
) -> Decoder:
    """Open a decoder for a neural video.

    Args:
        video: an opened video, or the path of a .nerv file.
        device: "auto" (a GPU that works, or the CPU), "cpu", "cuda" or "cuda:N".
        precision: one of `PRECISIONS`.
        backend: one of `BACKENDS`; `Decoder.backend_note` says why "auto" took what it took.
        threads: processor cores to use, 1 to `MOST_THREADS`; None for all.
        progress: called with (steps done, steps in all) while "int8" is calibrated, which the first use of a file does;
            of a clip in several segments, for each of them when its turn comes, maybe from another thread.
        memory_budget: bytes of maps that may live at once; a network that would need more is decoded in rectangles,
            where it can (HiNeRV, SRNeRV). None for `tiles.DEFAULT_BUDGET` on the CPU, a quarter of a GPU's memory.
        cache_bytes: most bytes of decoded 8-bit frames to keep, for steps back and loops; see `cache.CachedDecoder`.

    Raises:
        MissingInputError, BitstreamError: a file that cannot be opened.
        UsageError, UnknownNameError: not a device, not a precision, not a backend, no threads, no memory, no cache.
        CapabilityError: a device, precision or backend that is not available here; frames beyond the memory.
    """
    _check(precision, backend, memory_budget)
    threads = _whole_threads(threads)
    check_cache(cache_bytes)
    place, note = _place(device, backend)
    if not isinstance(video, NeuralVideo):
        video = open_nerv(video)

    free = (device, backend) == ("auto", "auto")

    def open_part(part: NeuralVideo, precision: str, progress: Progress | None) -> Decoder:
        def on_cpu(part: NeuralVideo, precision: str, note: str) -> Decoder:
            return _open_on_cpu(
                part,
                precision,
                backend=backend,
                threads=threads,
                progress=progress,
                tiles=lambda measure: _tiles(part, torch.device("cpu"), memory_budget, measure),
                note=note,
            )

        if backend == "torch":
            tiles = _tiles(part, place, memory_budget, peak_bytes)
            return TorchDecoder(
                part.model, part.spec, device=place, precision=precision, threads=threads, note=note, tiles=tiles
            )
        if place.type == "cpu":
            return on_cpu(part, precision, note)
        tiles = _tiles(part, place, memory_budget, peak_bytes)
        return _open_on_gpu(part, precision, place, tiles=tiles, progress=progress, fallback=on_cpu if free else None)

    if len(video.file.segments) == 1:
        decoder = open_part(video, precision, progress)
    else:
        decoder = SegmentedDecoder(
            video.file.segments,
            video.spec,
            lambda number, precision, told: open_part(video.segment(number), precision, told),
            precision=precision,
            progress=progress,
        )
    return CachedDecoder(decoder, cache_bytes) if cache_bytes else decoder


@cache
def _tell_of_pytorch(reason: str) -> None:
    """Say once that frames come slowly, and why."""
    _COMPILING.info("there are no native kernels: %s; PyTorch decodes instead, more slowly", reason)


def _check(precision: str, backend: str, memory_budget: int | None) -> None:
    """Raise for a name that is not known, or a number that makes no sense."""
    for kind, name, known in (("precision", precision, PRECISIONS), ("backend", backend, BACKENDS)):
        if name not in known:
            raise UnknownNameError(kind, name, known)
    if memory_budget is not None and memory_budget < 1:
        raise UsageError(f"a memory budget of {memory_budget} bytes holds nothing; give 1 or more, or leave it out")


def _whole_threads(threads: int | None) -> int | None:
    """Return a number of threads as an int, NumPy's numbers, too; raise `UsageError` for one that makes no sense."""
    if threads is None:
        return None
    with suppress(TypeError):  # a fraction
        if 1 <= (count := plain_index(threads)) <= MOST_THREADS:
            return count
    raise UsageError(f"{threads} threads cannot decode; give 1 to {MOST_THREADS}, or leave it out")


def _place(device: str, backend: str) -> tuple[torch.device, str]:
    """Return where to decode and, where that is the CPU for want of a GPU, why.

    Raises:
        UsageError: not the name of a device.
        CapabilityError: a device that is not here or does not work, or one that the backend does not run on.
    """
    only = _PLACES.get(backend)
    place = resolve_device("cuda" if only == "cuda" else "cpu") if only and device == "auto" else resolve_device(device)
    if only and place.type != only:
        fitting = "on the CPU only; use --device cpu" if only == "cpu" else "on a GPU only; use --device cuda"
        raise CapabilityError(f"backend {backend} runs {fitting} or --backend torch")
    if place.type == "cpu":
        return place, ""
    reason = why_not_usable(place)
    if reason is None:
        return place, ""
    if device != "auto" or only:
        raise CapabilityError(f"{place} cannot be used: {reason}; use --device cpu")
    return torch.device("cpu"), f"no GPU: {reason}"


def _tiles(video: NeuralVideo, place: torch.device, memory_budget: int | None, measure: Measure) -> Tiles:
    """Return the rectangles that frames are made in on a device, by an engine whose maps `measure` tells.

    Raises:
        CapabilityError: frames beyond the memory.
    """
    memory = device_memory(place)
    default = DEFAULT_BUDGET if place.type == "cpu" else memory // 4
    return choose_tiles(video.model, memory_budget or default, memory, measure)


def _open_on_gpu(
    video: NeuralVideo,
    precision: str,
    place: torch.device,
    *,
    tiles: Tiles,
    progress: Progress | None,
    fallback: Callable[[NeuralVideo, str, str], Decoder] | None,
) -> Decoder:
    """Open a decoder for one network on a GPU, or by `fallback` where that cannot do it.

    Raises:
        CapabilityError: a precision that is not available here.
    """
    if tiles.count > 1:
        note = "eager PyTorch: frames are made in rectangles, for memory"
        return TorchDecoder(video.model, video.spec, device=place, precision=precision, note=note, tiles=tiles)
    try:
        return CudaDecoder(
            video.model,
            video.spec,
            device=place,
            precision=precision,
            progress=progress,
            video_db=fitted_db(video.file.recipe),
            carried=carried_records(video.file),
        )
    except CapabilityError as error:
        if fallback is None:
            raise
        return fallback(video, precision, f"not on the GPU: {error}")


def _open_on_cpu(
    video: NeuralVideo,
    precision: str,
    *,
    backend: str,
    threads: int | None,
    progress: Progress | None,
    tiles: Callable[[Measure], Tiles],
    note: str,
) -> Decoder:
    """Open a decoder for one network on the CPU: our kernels, or the fast PyTorch where they cannot do it; or OpenVINO.

    Raises:
        CapabilityError: a precision or backend that is not available here.
    """
    video_db, carried = fitted_db(video.file.recipe), carried_records(video.file)
    if backend == "openvino":
        return OpenvinoDecoder(
            video.model,
            video.spec,
            precision=precision,
            threads=threads,
            progress=progress,
            tiles=tiles(peak_bytes),
            video_db=video_db,
            carried=carried,
        )
    if backend != "torch-fast":
        try:
            return NativeDecoder(
                video.model,
                video.spec,
                precision=precision,
                threads=threads,
                progress=progress,
                note=note,
                tiles=tiles(native_bytes),
                video_db=video_db,
                carried=carried,
            )
        except CapabilityError as error:
            if backend == "native" or precision == "int8":
                raise
            note = f"{note}; {error}" if note else str(error)
            if reason := why_not():
                _tell_of_pytorch(reason)
    return TorchFastDecoder(
        video.model, video.spec, precision=precision, threads=threads, note=note, tiles=tiles(peak_bytes)
    )
