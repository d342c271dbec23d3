"""Writing .nerv files: a `NervFile` becomes bytes, the same bytes every time."""

import io
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from nervplay import __version__
from nervplay.bitstream.atomic import replacing
from nervplay.bitstream.box import IGNORABLE, printable_name
from nervplay.bitstream.head import (
    FLOAT_BITS,
    SCALE_DTYPES,
    ArchitectureEntry,
    AudioEntry,
    Head,
    SegmentEntry,
    TensorEntry,
    pack_head,
)
from nervplay.bitstream.kernels import zero_points
from nervplay.bitstream.layout import (
    FORMAT,
    MAX_BITS,
    VERSION,
    Chunk,
    NervFile,
    QuantisedTensor,
    Segment,
    StoredTensor,
    WeightsDigest,
)
from nervplay.bitstream.limits import MAX_FILE_BYTES, allowance
from nervplay.bitstream.maps import encode_maps
from nervplay.bitstream.sections import AUDIO, HEAD, MAPS, POSTER, SCALES, float_section, segment_section
from nervplay.bitstream.segment import encode_segment
from nervplay.bitstream.spool import Spool
from nervplay.errors import BitstreamError, UsageError

__all__ = ["encode_nerv", "write_nerv"]

_DTYPE_NAMES: Mapping[str, str] = {numpy_name: name for name, numpy_name in SCALE_DTYPES.items()}


def encode_nerv(file: NervFile) -> bytes:
    """Return the bytes of a .nerv file; equal contents give equal bytes with the same zlib.

    Args:
        file: what to store. Segments are checked against the clip, codes against their bits.

    Raises:
        UsageError: content that the format cannot hold or that a reader would refuse; the message names it.
    """
    target = io.BytesIO()
    _write(file, io.BytesIO(), target)
    return target.getvalue()


def write_nerv(path: str | os.PathLike[str], file: NervFile, *, overwrite: bool = False) -> int:
    """Write a .nerv file, whole or not at all; return its size in bytes.

    Segments are taken one after the other: with those of `read_nerv(..., late=True)` memory is that of a few of them.

    Args:
        path: the target.
        file: what to store.
        overwrite: whether an existing target may be replaced.

    Raises:
        UsageError: content that the format cannot hold.
        OutputExistsError: the target exists and `overwrite` is off.
        OutputError: the folder is missing or read-only, the disk is full.
    """
    with (
        replacing(path, overwrite=overwrite) as temporary,
        tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(temporary.parent)) as spool,
        temporary.open("wb") as target,
    ):
        return _write(file, cast(BinaryIO, spool), target)


def _write(file: NervFile, waiting: BinaryIO, target: BinaryIO) -> int:
    """Write a file to `target` and return its bytes; chunks wait in `waiting` meanwhile."""
    spool = Spool(waiting)
    entries: list[SegmentEntry] = []
    maps: list[tuple[NDArray[Any], NDArray[Any]]] = []
    digest = WeightsDigest()
    for number, segment in enumerate(file.segments):
        tensors = dict(segment.tensors.items())
        digest.add(tensors)
        entries.append(_add_segment(spool, number, replace(segment, tensors=tensors), len(file.segments)))
        maps += [(t.minimum, t.scale) for t in tensors.values() if isinstance(t, QuantisedTensor)]
    coded = list(spool.names)
    try:
        head, head_bytes = pack_head(_head(file, tuple(entries), digest.hexdigest()))
    except BitstreamError as error:
        raise UsageError(f"this network cannot be stored: {str(error).partition(';')[0]}") from None
    front = {HEAD: Chunk(head)} | _map_chunks(maps)
    back = dict(_extras(file))
    for name, chunk in (front | back).items():
        spool.add(name, chunk)
    size = spool.write(target, [*front, *coded, *back], _METADATA)
    _check_size(size, head_bytes, len(coded) + len(front) + len(back), entries)
    return size


def _add_segment(spool: Spool, number: int, segment: Segment, count: int) -> SegmentEntry:
    """Put the chunks of one of `count` segments into the spool, and return its entry in the head."""
    quantised = {name: t for name, t in segment.tensors.items() if isinstance(t, QuantisedTensor)}
    for name, tensor in segment.tensors.items():
        if isinstance(tensor, QuantisedTensor):
            _check_quantised(name, tensor)
        else:
            spool.add(float_section(number, name), Chunk(_float_bytes(name, tensor), "F32", tensor.shape))
    codes = [(t.codes, t.bits, zero_points(t.minimum, t.scale, t.bits)) for t in quantised.values()]
    blob, models = encode_segment(codes, segments=count)
    if quantised:
        spool.add(segment_section(number), Chunk(blob))
    return _segment_entry(segment, dict(zip(quantised, models, strict=True)))


_IN_MEMORY = 64 << 20
"""Bytes of chunks that wait in memory; more wait in a file beside the target."""
_CHUNK_BYTES = 96
"""What a chunk costs in the header of the box."""
_METADATA: Mapping[str, str] = {"format": FORMAT, "format_version": f"{VERSION[0]}.{VERSION[1]}"}


def _head(file: NervFile, segments: tuple[SegmentEntry, ...], weights: str) -> Head:
    return Head(
        video=file.video,
        architecture=ArchitectureEntry(name=file.architecture, version=file.config_version, config=file.config),
        segments=segments,
        weights_sha256=weights,
        source=file.source,
        recipe=file.recipe,
        audio=AudioEntry(container=file.audio.container, codec=file.audio.codec) if file.audio else None,
        writer=f"nervplay {__version__}",
    )


def _segment_entry(segment: Segment, models: Mapping[str, str]) -> SegmentEntry:
    tensors = tuple(_tensor_entry(name, tensor, models.get(name)) for name, tensor in segment.tensors.items())
    return SegmentEntry(
        first_frame=segment.first_frame,
        frame_count=segment.frame_count,
        tensors=tensors,
        lead=segment.lead,
        tail=segment.tail,
        config=segment.config,
    )


def _tensor_entry(name: str, tensor: StoredTensor, model: str | None) -> TensorEntry:
    if not isinstance(tensor, QuantisedTensor):
        return TensorEntry(
            name=name, shape=tensor.shape, bits=FLOAT_BITS, scale_shape=None, scale_dtype=None, model=None
        )
    return TensorEntry(
        name=name,
        shape=tensor.shape,
        bits=tensor.bits,
        scale_shape=tensor.scale.shape,
        scale_dtype=_DTYPE_NAMES[_little(tensor.scale)],
        model=model,
    )


def _map_chunks(maps: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> dict[str, Chunk]:
    """Return `scales`, and `maps` where coding the float16 maps pays for a chunk of its own."""

    def raw(pairs: Iterable[tuple[NDArray[Any], NDArray[Any]]]) -> bytes:
        return b"".join(np.ascontiguousarray(part, _little(part)).tobytes() for pair in pairs for part in pair)

    half = [pair for pair in maps if pair[0].dtype == np.float16]
    whole = [pair for pair in maps if pair[0].dtype != np.float16]
    coded = encode_maps(half) if half else b""
    if half and len(coded) + _CHUNK_BYTES < len(raw(half)):
        return ({SCALES: Chunk(raw(whole))} if whole else {}) | {MAPS: Chunk(coded)}
    return {SCALES: Chunk(raw(maps))} if maps else {}


def _extras(file: NervFile) -> Iterator[tuple[str, Chunk]]:
    for name, data in ((AUDIO, file.audio.data if file.audio else None), (POSTER, file.poster)):
        if data is not None:
            if not data:
                raise UsageError(f"the section '{name}' has no bytes; leave it out with None")
            yield name, Chunk(data)
    for name, chunk in file.extras.items():
        if not name.startswith(IGNORABLE) or not printable_name(name) or not chunk.data:
            raise UsageError(f"the chunk '{name[:40]}' cannot ride along; it needs bytes, and a name like x.name")
        yield name, chunk


def _little(array: NDArray[np.generic]) -> str:
    """Return numpy's little-endian name of the array's type: "<f2", "<f4"."""
    return array.dtype.newbyteorder("<").str


def _float_bytes(name: str, tensor: NDArray[np.float32]) -> bytes:
    if tensor.dtype != np.float32:
        raise UsageError(f"the tensor '{name}' is {tensor.dtype}; plain tensors are float32, others are quantised")
    if tensor.size == 0:
        raise UsageError(f"the tensor '{name}' has shape {tensor.shape}; every size must be 1 or more")
    if not np.isfinite(tensor).all():
        raise UsageError(f"the tensor '{name}' has values that are not finite; the fit has diverged")
    return np.ascontiguousarray(tensor, "<f4").tobytes()


def _check_quantised(name: str, tensor: QuantisedTensor) -> None:
    """Raise `UsageError` for integers and maps that the format cannot hold; shapes are checked with the head."""
    codes = tensor.codes
    if not 1 <= tensor.bits <= MAX_BITS:
        raise UsageError(f"the tensor '{name}' has {tensor.bits} bits; codes have 1 to {MAX_BITS}")
    if codes.size == 0:
        raise UsageError(f"the tensor '{name}' has shape {codes.shape}; every size must be 1 or more")
    if codes.dtype.kind != "u":
        raise UsageError(f"the codes of '{name}' are {codes.dtype}; they must be uint8 or uint16")
    if int(codes.max()) >> tensor.bits:
        raise UsageError(f"the code {int(codes.max())} of '{name}' does not fit its {tensor.bits} bits")
    if tensor.minimum.shape != tensor.scale.shape or _little(tensor.minimum) != _little(tensor.scale):
        raise UsageError(f"minimum and scale of '{name}' must have the same shape and type")
    if _little(tensor.scale) not in _DTYPE_NAMES:
        raise UsageError(f"the scale of '{name}' is {tensor.scale.dtype}; it must be float16 or float32")
    if not tensor.is_finite:
        raise UsageError(f"minimum and scale of '{name}' lead outside the float32 numbers; the fit has diverged")


def _check_size(size: int, head_bytes: int, chunks: int, segments: list[SegmentEntry]) -> None:
    """Raise `UsageError` for a file that readers would refuse."""
    tensors = [tensor for segment in segments for tensor in segment.tensors]
    weights, allowed = sum(tensor.count for tensor in tensors), allowance(size)
    if size > MAX_FILE_BYTES:
        raise UsageError(f"{size} bytes are over the {MAX_FILE_BYTES} that a .nerv file may have; use fewer bits")
    if head_bytes > allowed.head:
        raise UsageError(f"this network cannot be stored: the head is over {allowed.head} bytes")
    if chunks > allowed.chunks or len(tensors) > allowed.tensors:
        raise UsageError(
            f"{chunks} chunks and {len(tensors)} tensors in {size} bytes are over the {allowed.chunks} and "
            f"{allowed.tensors} that readers take; cut the clip into fewer segments"
        )
    if weights > allowed.weights:
        raise UsageError(f"{weights} weights in {size} bytes: nearly all are alike, readers refuse that; prune less")
