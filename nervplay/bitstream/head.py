"""The head of a .nerv file, `head.z`: what the clip and the network are, and where each tensor is (clause 4).

Each field is declared once, below, with its type and the kind of value it has in the file; reading and writing follow
them. To add a field: one line here, one row in clause 4 of the specification, a higher minor version. Readers
skip keys that they do not know, so a new field must be one that decoding can do without.
"""

import math
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from fractions import Fraction
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from nervplay.bitstream.box import printable_name
from nervplay.bitstream.layout import MAX_BITS
from nervplay.bitstream.limits import (
    MAX_FILE_BYTES,
    MAX_FRAMES,
    MAX_NAME,
    MAX_PIXELS,
    MAX_RANK,
    MAX_RATE,
    MAX_SIDE,
    MAX_TENSORS,
    MAX_WEIGHTS,
    Allowance,
    allowance,
)
from nervplay.bitstream.refusal import damaged
from nervplay.bitstream.strict_json import dump_json, parse_json
from nervplay.video.spec import VideoSpec

__all__ = [
    "FLOAT_BITS",
    "SCALE_DTYPES",
    "ArchitectureEntry",
    "AudioEntry",
    "Head",
    "SegmentEntry",
    "TensorEntry",
    "pack_head",
    "unpack_head",
]

FLOAT_BITS = 32
"""What `bits` says of a tensor of plain float32 values."""
SCALE_DTYPES: Mapping[str, str] = {"F16": "<f2", "F32": "<f4"}
"""Types of minimum and scale, by safetensors' name: numpy's name."""

_MAX_TERM = (1 << 31) - 1  # numerators and denominators, as FFmpeg's AVRational has them
Kind = Callable[[Any, str], Any]
"""Checks a JSON value; returns what it stands for. The second argument names the field in messages."""
RecordT = TypeVar("RecordT")


def _integer(low: int, high: int) -> Kind:
    def check(value: Any, where: str) -> int:
        if type(value) is not int or not low <= value <= high:
            raise damaged(f"{where} is {str(value)[:24]}, not a whole number from {low} to {high}")
        return value

    return check


def _text(pattern: str) -> Kind:
    compiled = re.compile(pattern)

    def check(value: Any, where: str) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise damaged(f"{where} is {str(value)[:24]!r}, not a text of the form {pattern}")
        return value

    return check


def _name(value: Any, where: str) -> str:
    if not printable_name(value):
        raise damaged(f"{where} is {str(value)[:24]!r}, not 1 to {MAX_NAME} visible ASCII characters")
    return str(value)


def _json_object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise damaged(f"{where} is {str(value)[:24]}, not an object")
    return value


def _list_of(kind: Kind, low: int, high: int) -> Kind:
    def check(value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list) or not low <= len(value) <= high:
            raise damaged(f"{where} is not a list of {low} to {high} items")
        return tuple(kind(item, f"{where}[{i}]") for i, item in enumerate(value))

    return check


def _or_null(kind: Kind) -> Kind:
    return lambda value, where: None if value is None else kind(value, where)


def _defaults(cls: type[Any]) -> dict[str, Any]:
    """Return the defaults of the fields that may be left out of the file, by name."""
    return {
        f.name: f.default if f.default_factory is MISSING else f.default_factory()
        for f in fields(cls)
        if f.default is not MISSING or f.default_factory is not MISSING
    }


def _record(cls: type[RecordT]) -> Kind:
    kinds: dict[str, Kind] = {}
    optional = _defaults(cls)

    def check(value: Any, where: str) -> RecordT:
        data = _json_object(value, where)
        if not kinds:
            hints = get_type_hints(cls, include_extras=True)
            kinds.update({name: get_args(hint)[1] for name, hint in hints.items()})
        missing = [name for name in kinds if name not in data and name not in optional]
        if missing:
            raise damaged(f"{where} lacks '{missing[0]}'")
        return cls(**{name: kind(data[name], f"{where}.{name}") for name, kind in kinds.items() if name in data})

    return check


def _video(value: Any, where: str) -> VideoSpec:
    """Check a clip's description (clause 4.2); the keys are those of `VideoSpec.to_json`."""
    data = dict(_json_object(value, where))
    term, word = _integer(1, _MAX_TERM), _text(r"[a-z0-9_\-]{1,32}")
    kinds: dict[str, Kind] = {
        "width": _integer(1, MAX_SIDE),
        "height": _integer(1, MAX_SIDE),
        "frame_count": _integer(1, MAX_FRAMES),
        "rate": _list_of(term, 2, 2),
        "sample_aspect": _list_of(term, 2, 2),
        "colour": lambda v, w: {k: word(_json_object(v, w).get(k), f"{w}.{k}") for k in _COLOUR},
    }
    spec = VideoSpec.from_json({name: kind(data.get(name), f"{where}.{name}") for name, kind in kinds.items()})
    if spec.width * spec.height > MAX_PIXELS:
        raise damaged(f"frames of {spec.width}x{spec.height} are over {MAX_PIXELS} pixels")
    if spec.rate > MAX_RATE:
        raise damaged(f"a rate of {float(spec.rate):.0f} frames per second is over {MAX_RATE}")
    if not Fraction(1, 1000) <= spec.sample_aspect <= 1000:
        raise damaged(f"a sample aspect of {spec.sample_aspect} is outside 1/1000 to 1000")
    return spec


_COLOUR = ("matrix", "primaries", "transfer", "range")


@dataclass(frozen=True, kw_only=True)
class TensorEntry:
    """A row of the tensor table (clause 4.4).

    Args:
        name: 1 .. 200 visible ASCII characters, unique in its segment.
        shape: at most 6 sizes of 1 or more.
        bits: 1 .. 16 for integer codes, 32 for plain float32 values.
        scale_shape: shape of minimum and scale: (), or one size per dimension, 1 or that of `shape`; None with 32 bits.
        scale_dtype: "F16" or "F32"; None with 32 bits.
        model: entropy model of the codes; None with 32 bits.
    """

    name: Annotated[str, _name]
    shape: Annotated[tuple[int, ...], _list_of(_integer(1, MAX_WEIGHTS), 0, MAX_RANK)]
    bits: Annotated[int, _integer(1, FLOAT_BITS)]
    scale_shape: Annotated[tuple[int, ...] | None, _or_null(_list_of(_integer(1, MAX_WEIGHTS), 0, MAX_RANK))]
    scale_dtype: Annotated[str | None, _or_null(_text("|".join(SCALE_DTYPES)))]
    model: Annotated[str | None, _or_null(_text(r"[a-z0-9_\-]{1,32}"))]

    @property
    def count(self) -> int:
        """Number of weights."""
        return math.prod(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether the tensor is plain float32 values in a chunk of its own."""
        return self.bits == FLOAT_BITS


@dataclass(frozen=True, kw_only=True)
class SegmentEntry:
    """A stretch of time and the tensors of its network (clause 4.3)."""

    first_frame: Annotated[int, _integer(0, MAX_FRAMES)]
    frame_count: Annotated[int, _integer(1, MAX_FRAMES)]
    tensors: Annotated[tuple[TensorEntry, ...], _list_of(_record(TensorEntry), 1, MAX_TENSORS)]
    lead: Annotated[int, _integer(0, MAX_FRAMES)] = 0
    tail: Annotated[int, _integer(0, MAX_FRAMES)] = 0
    config: Annotated[Mapping[str, Any], _json_object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ArchitectureEntry:
    """Which network it is; names that this version does not know are refused one floor up, by the registry."""

    name: Annotated[str, _text(r"[a-z0-9_\-]{1,64}")]
    version: Annotated[int, _integer(0, 1_000_000)]
    config: Annotated[Mapping[str, Any], _json_object]


@dataclass(frozen=True, kw_only=True)
class AudioEntry:
    """What the chunk `audio` holds, in FFmpeg's names."""

    container: Annotated[str, _text(r"[a-z0-9_,\-]{1,64}")]
    codec: Annotated[str, _text(r"[a-z0-9_\-]{1,64}")]


@dataclass(frozen=True, kw_only=True)
class Head:
    """All fields of `head.z` (clause 4.1)."""

    video: Annotated[VideoSpec, _video]
    architecture: Annotated[ArchitectureEntry, _record(ArchitectureEntry)]
    segments: Annotated[tuple[SegmentEntry, ...], _list_of(_record(SegmentEntry), 1, MAX_TENSORS)]
    weights_sha256: Annotated[str, _text(r"[0-9a-f]{64}")]
    source: Annotated[Mapping[str, Any], _json_object]
    recipe: Annotated[Mapping[str, Any], _json_object]
    audio: Annotated[AudioEntry | None, _or_null(_record(AudioEntry))]
    writer: Annotated[str, _text(r"[ -~]{1,100}")]


def _plain(value: Any) -> Any:
    """Return the JSON form of a field: records become objects, tuples lists."""
    if isinstance(value, VideoSpec):
        return value.to_json()
    if is_dataclass(value):
        optional = _defaults(type(value)) if not isinstance(value, type) else {}
        items = ((declared.name, getattr(value, declared.name)) for declared in fields(value))
        return {name: _plain(item) for name, item in items if name not in optional or item != optional[name]}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def pack_head(head: Head) -> tuple[bytes, int]:
    """Return the chunk `head.z`, and its bytes after inflation.

    Raises:
        UsageError: a configuration, source or recipe that is not JSON-plain.
        BitstreamError: a value that a reader would refuse.
    """
    raw = dump_json(_plain(head))
    _parse(raw, allowance(MAX_FILE_BYTES))
    return zlib.compress(raw, 9), len(raw)


def unpack_head(packed: bytes, allowed: Allowance) -> Head:
    """Return the head that the chunk `head.z` holds, every value checked.

    Args:
        packed: the chunk.
        allowed: what a file of that size may ask for.

    Raises:
        BitstreamError: data that does not inflate, inflates to more than is allowed, or breaks a rule of clause 4.
    """
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(packed, allowed.head + 1)
    except zlib.error:
        raise damaged("the head cannot be inflated") from None
    if len(raw) <= allowed.head and (not inflater.eof or inflater.unused_data):
        raise damaged("the deflated head ends too early or too late")
    return _parse(raw, allowed)


def _parse(raw: bytes, allowed: Allowance) -> Head:
    if len(raw) > allowed.head:  # clause 2.8
        raise damaged(f"the head is over {allowed.head} bytes")
    head: Head = _record(Head)(parse_json(raw, "the head"), "head")
    first = tensors = 0
    for number, segment in enumerate(head.segments):
        if segment.first_frame != first:
            raise damaged(f"segment {number} begins at frame {segment.first_frame} instead of {first}")
        first += segment.frame_count
        _check_seam(head, number)
        tensors += len(segment.tensors)
        weights = sum(tensor.count for tensor in segment.tensors)
        if weights > MAX_WEIGHTS:  # clause 2.5
            raise damaged(f"segment {number} has {weights} weights, over {MAX_WEIGHTS}")
        if len({tensor.name for tensor in segment.tensors}) != len(segment.tensors):
            raise damaged(f"segment {number} holds a tensor name twice")
        for tensor in segment.tensors:
            _check_tensor(tensor)
    if first != head.video.frame_count:
        raise damaged(f"the segments have {first} frames, the clip {head.video.frame_count}")
    if tensors > allowed.tensors:
        raise damaged(f"{tensors} tensors are over {allowed.tensors}")
    return head


def _check_seam(head: Head, number: int) -> None:
    """Check what the neighbours of a segment know of its frames: at most two networks know a frame (clause 4.3)."""
    edge = SegmentEntry(first_frame=0, frame_count=1, tensors=())
    before, behind = (head.segments[n] if 0 <= n < len(head.segments) else edge for n in (number - 1, number + 1))
    segment = head.segments[number]
    if (before is edge and segment.lead) or (behind is edge and segment.tail):
        raise damaged(f"segment {number} knows frames outside the clip")
    if before.tail + behind.lead > segment.frame_count:
        raise damaged(f"the neighbours of segment {number} know more than its {segment.frame_count} frames")


def _check_tensor(tensor: TensorEntry) -> None:
    """Check what the fields of a tensor say about each other (clause 4.4)."""
    if tensor.is_float:
        if (tensor.scale_shape, tensor.scale_dtype, tensor.model) != (None, None, None):
            raise damaged(f"the float tensor '{tensor.name}' has a scale or an entropy model")
        return
    if tensor.bits > MAX_BITS:
        raise damaged(f"the tensor '{tensor.name}' has {tensor.bits} bits, not 1 to {MAX_BITS} or {FLOAT_BITS}")
    if tensor.scale_shape is None or tensor.scale_dtype is None or tensor.model is None:
        raise damaged(f"the tensor '{tensor.name}' lacks its scale or its entropy model")
    fits = len(tensor.scale_shape) == len(tensor.shape) and all(
        s in (1, n) for s, n in zip(tensor.scale_shape, tensor.shape, strict=True)
    )
    if tensor.scale_shape and not fits:
        raise damaged(f"the scale {tensor.scale_shape} of '{tensor.name}' does not fit its shape {tensor.shape}")
