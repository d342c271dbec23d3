"""Reading .nerv files: any bytes become a `NervFile` or a `BitstreamError`, in bounded time and memory.

docs/spec/nerv-format.md is the law; clause numbers stand where its rules are checked.
"""

import io
import math
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.box import IGNORABLE, Box
from nervplay.bitstream.head import SCALE_DTYPES, Head, SegmentEntry, TensorEntry, unpack_head
from nervplay.bitstream.kernels import zero_points
from nervplay.bitstream.layout import Audio, Chunk, NervFile, QuantisedTensor, Segment, StoredTensor, weights_sha256
from nervplay.bitstream.limits import weight_allowance
from nervplay.bitstream.maps import decode_maps
from nervplay.bitstream.packing import ByteCursor
from nervplay.bitstream.refusal import damaged
from nervplay.bitstream.sections import (
    AUDIO,
    HEAD,
    MAPS,
    POSTER,
    SCALES,
    check_sections,
    float_section,
    is_calibration,
    segment_section,
)
from nervplay.bitstream.segment import CodedTensor, RowBudget, decode_segment
from nervplay.errors import BitstreamError, MissingInputError
from nervplay.video.spec import VideoSpec

__all__ = ["NervHeader", "NervSource", "peek_nerv", "read_nerv"]

NervSource = str | os.PathLike[str] | bytes | BinaryIO
"""A path, the bytes of a whole file, or a seekable stream of one, which stays the caller's to close."""


@dataclass(frozen=True, kw_only=True)
class NervHeader:
    """What a .nerv file says about itself, without its weights.

    Args:
        version: major and minor version of the format.
        writer: the program that wrote the file.
        video: the clip that comes out.
        architecture: registry name of the network.
        config_version: version of its configuration class.
        config: its configuration, JSON-plain.
        segments: frames and tensor table of each segment.
        weights_sha256: what `weights_sha256` gives for the decoded weights; checked by `read_nerv` only.
        source: where the clip came from.
        recipe: how the network was fitted and compressed.
        audio_container: FFmpeg's name of the audio's container, None without sound.
        audio_codec: FFmpeg's name of the audio's codec, None without sound.
        file_bytes: size of the file.
        section_bytes: bytes by kind; "weights", "scales", "head", "audio", "poster", "int8" (calibration), "other"
            (ignored sections) and "container" (header of the box) sum to `file_bytes`.
    """

    version: tuple[int, int]
    writer: str
    video: VideoSpec
    architecture: str
    config_version: int
    config: Mapping[str, Any]
    segments: tuple[SegmentEntry, ...]
    weights_sha256: str
    source: Mapping[str, Any]
    recipe: Mapping[str, Any]
    audio_container: str | None
    audio_codec: str | None
    file_bytes: int
    section_bytes: Mapping[str, int]

    @property
    def weight_count(self) -> int:
        """Number of stored weights of all segments, embeddings included."""
        return sum(tensor.count for segment in self.segments for tensor in segment.tensors)


def peek_nerv(source: NervSource) -> NervHeader:
    """Read what a file says about itself; of a path only the header and the head are read.

    Args:
        source: path of a .nerv file, its bytes, or a seekable stream.

    Raises:
        MissingInputError: no such file, or a folder.
        VersionError: made by a newer nervplay.
        BitstreamError: not a .nerv file, truncated or altered.
    """
    with _opened(source) as box:
        head = _head(box)
        return NervHeader(
            version=box.version,
            writer=head.writer,
            video=head.video,
            architecture=head.architecture.name,
            config_version=head.architecture.version,
            config=head.architecture.config,
            segments=head.segments,
            weights_sha256=head.weights_sha256,
            source=head.source,
            recipe=head.recipe,
            audio_container=head.audio.container if head.audio else None,
            audio_codec=head.audio.codec if head.audio else None,
            file_bytes=box.size,
            section_bytes=_section_bytes(box),
        )


def read_nerv(source: NervSource) -> NervFile:
    """Read and decode a whole file; checksums, the end of the entropy decoder and the hash of the weights are checked.

    Args:
        source: path of a .nerv file, its bytes, or a seekable stream.

    Raises:
        MissingInputError: no such file, or a folder.
        VersionError: made by a newer nervplay.
        BitstreamError: not a .nerv file, truncated or altered.
    """
    with _opened(source) as box:
        head = _head(box)
        segments = _segments(box, head)
        if weights_sha256(segments) != head.weights_sha256:
            raise damaged("the weights do not have the hash that the head states")  # clause 7
        sound = head.audio
        audio = Audio(data=box.read(AUDIO), container=sound.container, codec=sound.codec) if sound else None
        return NervFile(
            video=head.video,
            architecture=head.architecture.name,
            config_version=head.architecture.version,
            config=head.architecture.config,
            segments=segments,
            source=head.source,
            recipe=head.recipe,
            audio=audio,
            poster=box.read(POSTER) if box.chunk_bytes(POSTER) else None,
            extras=_extras(box),
        )


@contextmanager
def _opened(source: NervSource) -> Iterator[Box]:
    """Open `source` as a box; errors inside get its name."""
    label = os.fspath(source) if isinstance(source, str | os.PathLike) else "these bytes"
    try:
        with _stream(source) as stream:
            yield Box(stream)
    except BitstreamError as error:
        raise type(error)(f"{label}: {error}") from None
    except OSError as error:
        if isinstance(error, MissingInputError):
            raise
        raise MissingInputError(f"{label} cannot be read ({error.strerror}); check its rights and the disk") from None


def _stream(source: NervSource) -> AbstractContextManager[BinaryIO]:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if not isinstance(source, str | os.PathLike):
        return nullcontext(source)
    path = Path(source)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise MissingInputError(f"{path} does not exist; check the path") from None
    if stat.S_ISDIR(mode):
        raise MissingInputError(f"{path} is a folder; give a .nerv file in it")
    if not stat.S_ISREG(mode):  # opening a pipe would wait for a writer
        raise MissingInputError(f"{path} is not a regular file; copy it to one first")
    return path.open("rb")


def _head(box: Box) -> Head:
    head = unpack_head(box.read(HEAD))
    check_sections(head, box.names)
    claimed, allowed = sum(t.count for segment in head.segments for t in segment.tensors), weight_allowance(box.size)
    if claimed > allowed:  # clause 2.5
        raise damaged(f"{claimed} weights are over the {allowed} that a file of {box.size} bytes may hold")
    return head


def _extras(box: Box) -> dict[str, Chunk]:
    """Return the chunks `x.`... that are whole: no frame depends on them, and a damaged one is as good as none."""
    extras = {}
    for name in box.names:
        if name.startswith(IGNORABLE):
            with suppress(BitstreamError):
                extras[name] = box.whole(name)
    return extras


def _section_bytes(box: Box) -> dict[str, int]:
    named = {"head": HEAD, "scales": SCALES, "audio": AUDIO, "poster": POSTER}
    sizes = {kind: box.chunk_bytes(name) for kind, name in named.items()}
    sizes["scales"] += box.chunk_bytes(MAPS)
    sizes["weights"] = sum(box.chunk_bytes(name) for name in box.names if name.startswith(("seg.", "f.")))
    sizes["int8"] = sum(box.chunk_bytes(name) for name in box.names if is_calibration(name))
    sizes["container"] = box.header_bytes
    sizes["other"] = box.size - sum(sizes.values())
    return sizes


def _segments(box: Box, head: Head) -> tuple[Segment, ...]:
    """Return the decoded segments (clauses 4.3 to 5)."""
    budget = RowBudget()
    maps = _Maps(box, head, budget)
    segments = []
    for number, entry in enumerate(head.segments):
        pairs = {t.name: (maps.part(t), maps.part(t)) for t in entry.tensors if not t.is_float}
        coded = iter(_codes(box, segment_section(number), entry, pairs, budget))
        tensors: dict[str, StoredTensor] = {
            t.name: _float_tensor(box, number, t) if t.is_float else _quantised(t, next(coded), pairs[t.name])
            for t in entry.tensors
        }
        segments.append(
            Segment(
                first_frame=entry.first_frame,
                frame_count=entry.frame_count,
                tensors=tensors,
                lead=entry.lead,
                tail=entry.tail,
                config=entry.config,
            )
        )
    maps.finish()
    return tuple(segments)


_Map = tuple[NDArray[Any], NDArray[Any]]
"""Minimum and scale of a tensor."""


class _Maps:
    """Minimum and scale of one tensor after the other, out of `scales` and, where it is there, `maps` (clause 4.5)."""

    def __init__(self, box: Box, head: Head, budget: RowBudget) -> None:
        self._scales = ByteCursor(box.read(SCALES) if box.chunk_bytes(SCALES) else b"", "the chunk 'scales'")
        self._coded: Iterator[NDArray[np.float16]] | None = None
        if box.chunk_bytes(MAPS):
            tensors = [t for segment in head.segments for t in segment.tensors if t.scale_dtype == "F16"]
            self._coded = iter(decode_maps(box.read(MAPS), [math.prod(t.scale_shape or ()) for t in tensors], budget))

    def part(self, tensor: TensorEntry) -> NDArray[Any]:
        """Return minimum or scale of `tensor`, in turn."""
        shape = tensor.scale_shape or ()
        if tensor.scale_dtype == "F16" and self._coded is not None:
            return next(self._coded).reshape(shape)
        assert tensor.scale_dtype is not None, "the head was checked"
        dtype = np.dtype(SCALE_DTYPES[tensor.scale_dtype])
        raw = np.frombuffer(self._scales.take(math.prod(shape) * dtype.itemsize), dtype)
        return raw.reshape(shape).astype(dtype.newbyteorder("="))

    def finish(self) -> None:
        """Check that nothing is left over."""
        self._scales.finish()


def _codes(
    box: Box, name: str, entry: SegmentEntry, pairs: Mapping[str, _Map], budget: RowBudget
) -> list[NDArray[Any]]:
    """Return the flat codes of the quantised tensors of a segment, in table order."""
    coded = [
        CodedTensor(t.shape, t.bits, t.model, zero_points(*pairs[t.name], t.bits))
        for t in entry.tensors
        if t.model is not None
    ]
    return decode_segment(box.read(name), coded, name, budget) if coded else []


def _quantised(tensor: TensorEntry, codes: NDArray[Any], pair: _Map) -> QuantisedTensor:
    """Return a tensor of codes with its map."""
    minimum, scale = pair
    result = QuantisedTensor(codes=codes.reshape(tensor.shape), bits=tensor.bits, minimum=minimum, scale=scale)
    if not result.is_finite:
        raise damaged(f"minimum and scale of '{tensor.name}' lead outside the float32 numbers")
    return result


def _float_tensor(box: Box, number: int, tensor: TensorEntry) -> NDArray[np.float32]:
    """Return a plain tensor from its own chunk (clause 4.6)."""
    name = float_section(number, tensor.name)
    raw = box.read(name, "F32")
    if box.shape(name) != tensor.shape:
        raise damaged(f"the chunk '{name}' has the shape {box.shape(name)}, the head says {tensor.shape}")
    return np.frombuffer(raw, "<f4").reshape(tensor.shape).astype(np.float32)
