"""Reading .nerv files: any bytes become a `NervFile` or a `BitstreamError`, in bounded time and memory.

docs/spec/nerv-format.md is the law; clause numbers stand where its rules are checked.
"""

import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nervplay.bitstream.box import IGNORABLE, Box
from nervplay.bitstream.head import Head, SegmentEntry, unpack_head
from nervplay.bitstream.late import LateTensors, Shelf
from nervplay.bitstream.layout import Audio, Chunk, NervFile, Segment, StoredTensor, WeightsDigest
from nervplay.bitstream.limits import MAX_WEIGHTS
from nervplay.bitstream.refusal import damaged
from nervplay.bitstream.sections import AUDIO, HEAD, MAPS, POSTER, SCALES, check_sections, is_calibration
from nervplay.bitstream.segment import RowBudget
from nervplay.bitstream.tensors import Pairs, decode_pairs, decode_tensors
from nervplay.errors import BitstreamError, MissingInputError
from nervplay.video.spec import VideoSpec

__all__ = ["NervHeader", "NervSource", "peek_nerv", "read_audio", "read_nerv", "verify_nerv"]

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


def read_nerv(source: NervSource, *, late: bool | None = False) -> NervFile:
    """Read a whole file; checksums, the end of the entropy decoder and the hash of the weights are checked.

    Args:
        source: path of a .nerv file, its bytes, or a seekable stream.
        late: decode the tensors of a segment when they are asked for, again after others were: a long clip opens at
            once and takes the memory of two segments. Checksums are checked now, the rest then, by who asks; the hash
            of all weights only by `verify_nerv`. A path must stay as it is, a stream open. None: where there are
            several segments.

    Raises:
        MissingInputError: no such file, or a folder.
        VersionError: made by a newer nervplay.
        BitstreamError: not a .nerv file, truncated or altered; more weights than are decoded at once.
    """
    with _opened(source) as box:
        head = _head(box)
        budget = RowBudget(box.allowed.rows)
        pairs = decode_pairs(box, head.segments, budget)
        tensors: Sequence[Mapping[str, StoredTensor]]
        if late or (late is None and len(head.segments) > 1):
            box.check_all()
            shelf = Shelf(_reopener(source, box), pairs, budget)
            tensors = [LateTensors(shelf, number, entry) for number, entry in enumerate(head.segments)]
        else:
            tensors = _decoded(box, head, pairs, budget)
        sound = head.audio
        audio = Audio(data=box.read(AUDIO), container=sound.container, codec=sound.codec) if sound else None
        return NervFile(
            video=head.video,
            architecture=head.architecture.name,
            config_version=head.architecture.version,
            config=head.architecture.config,
            segments=tuple(map(_segment, head.segments, tensors)),
            source=head.source,
            recipe=head.recipe,
            audio=audio,
            poster=box.read(POSTER) if box.chunk_bytes(POSTER) else None,
            extras=_extras(box),
        )


def verify_nerv(source: NervSource) -> None:
    """Read a file to its end, segment by segment, and compare the hash of its weights.

    Args:
        source: path of a .nerv file, its bytes, or a seekable stream.

    Raises:
        MissingInputError, VersionError, BitstreamError: as for `read_nerv`.
    """
    digest = WeightsDigest()
    for segment in read_nerv(source, late=True).segments:
        digest.add(segment.tensors)
    with _opened(source) as box:
        if _head(box).weights_sha256 != digest.hexdigest():
            raise _wrong_hash()


def read_audio(source: NervSource) -> Audio | None:
    """Return the sound of a file, None where it has none; no weight is read.

    Args:
        source: path of a .nerv file, its bytes, or a seekable stream.

    Raises:
        MissingInputError, VersionError, BitstreamError: as for `read_nerv`.
    """
    with _opened(source) as box:
        sound = _head(box).audio
        return Audio(data=box.read(AUDIO), container=sound.container, codec=sound.codec) if sound else None


@contextmanager
def _opened(source: NervSource) -> Iterator[Box]:
    """Open `source` as a box; errors inside get its name."""
    with _named(source), _stream(source) as stream:
        yield Box(stream)


@contextmanager
def _named(source: NervSource) -> Iterator[None]:
    """Give errors inside the name of the file."""
    label = os.fspath(source) if isinstance(source, str | os.PathLike) else "these bytes"
    try:
        yield
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
    head = unpack_head(box.read(HEAD), box.allowed)
    check_sections(head, box.names)
    claimed, allowed = sum(t.count for segment in head.segments for t in segment.tensors), box.allowed.weights
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


def _decoded(box: Box, head: Head, pairs: Sequence[Pairs], budget: RowBudget) -> list[dict[str, StoredTensor]]:
    """Return the tensors of all segments, their hash compared."""
    weights = sum(t.count for segment in head.segments for t in segment.tensors)
    if weights > MAX_WEIGHTS:
        raise BitstreamError(f"{weights} weights are over the {MAX_WEIGHTS} that are decoded at once; read them late")
    tensors = [decode_tensors(box, n, entry, pairs[n], budget) for n, entry in enumerate(head.segments)]
    digest = WeightsDigest()
    for part in tensors:
        digest.add(part)
    if digest.hexdigest() != head.weights_sha256:
        raise _wrong_hash()  # clause 7
    return tensors


def _wrong_hash() -> BitstreamError:
    return damaged("the weights do not have the hash that the head states")


def _segment(entry: SegmentEntry, tensors: Mapping[str, StoredTensor]) -> Segment:
    """Return a segment with its tensors, decoded or not."""
    return Segment(
        first_frame=entry.first_frame,
        frame_count=entry.frame_count,
        tensors=tensors,
        lead=entry.lead,
        tail=entry.tail,
        config=entry.config,
    )


def _reopener(source: NervSource, box: Box) -> Callable[[], AbstractContextManager[Box]]:
    """Return what opens a file again that was read as `box`, and refuses another one in its place."""
    before = _identity(source)

    @contextmanager
    def again() -> Iterator[Box]:
        with _named(source), _stream(source) as stream:
            if _identity(source) != before:
                raise BitstreamError("the file was replaced while it was in use; open it again")
            yield box.on(stream)

    return again


def _identity(source: NervSource) -> tuple[int, ...]:
    """Return what tells a file from another at the same path."""
    if not isinstance(source, str | os.PathLike):
        return ()
    try:
        found = Path(source).stat()
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
