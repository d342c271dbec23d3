"""The .nerv file, version 1.4: what is in it, in memory and by name. docs/spec/nerv-format.md is the written twin.

    safetensors box
    ├── __metadata__   format "nervplay", format_version "1.4", crc32 of every chunk
    ├── head.z         deflated strict JSON: the fields of `Head`, names never positions
    ├── scales         per tensor, in table order: minimum[], scale[], little-endian float16 or float32
    ├── maps           optional: those of float16, entropy-coded, which then are not in `scales`
    ├── seg.0000 ...   one entropy-coded blob per time segment, in time order
    ├── f.0000.NAME    a plain float32 tensor (bits = 32) of a segment; one chunk each
    ├── audio          optional: a small media file, packets copied from the source
    ├── poster.webp    optional: a still
    ├── x.int8.0000 .. optional: calibration of integer products, per segment (`calibration`)
    └── x.*            ignored by readers that do not know them; any other unknown name means "update nervplay"

A weight is an integer code in the file: value = minimum + scale * code, multiplied and then added in float32, two
roundings, no fused multiply-add. The codes are the same on every machine; their SHA-256 is in the head.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervplay.video.spec import VideoSpec

__all__ = [
    "FORMAT",
    "MAX_BITS",
    "VERSION",
    "Audio",
    "Chunk",
    "NervFile",
    "QuantisedTensor",
    "Segment",
    "StoredTensor",
    "WeightsDigest",
    "weights_sha256",
]

FORMAT = "nervplay"
VERSION = (1, 4)
"""What this version reads and writes; clause 10 of the specification tells what each version brought."""
MAX_BITS = 16


@dataclass(frozen=True, kw_only=True)
class QuantisedTensor:
    """A tensor as integers plus an affine map back to floats.

    Args:
        codes: uint8 (bits <= 8) or uint16 array of the tensor's shape, each 0 .. 2**bits - 1.
        bits: 1 .. 16.
        minimum: float16 or float32, shape that broadcasts to `codes` with the same number of dimensions, or ().
        scale: same shape and dtype as `minimum`.
    """

    codes: NDArray[Any]
    bits: int
    minimum: NDArray[Any]
    scale: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return self.codes.shape

    @property
    def is_finite(self) -> bool:
        """Whether every code maps to a finite float32 number."""
        if not (np.isfinite(self.minimum).all() and np.isfinite(self.scale).all()):
            return False
        reach = np.abs(self.minimum.astype(np.float64)) + np.abs(self.scale.astype(np.float64)) * (2**self.bits - 1)
        return bool((reach <= np.finfo(np.float32).max).all())

    def dequantise(self) -> NDArray[np.float32]:
        """Return float32 values of the tensor's shape: minimum + scale * code."""
        product = self.scale.astype(np.float32) * self.codes.astype(np.float32)
        return np.asarray(self.minimum.astype(np.float32) + product, dtype=np.float32)


StoredTensor = QuantisedTensor | NDArray[np.float32]
"""What a segment holds under a name: integers with their map, or plain float32 values (bits = 32)."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """The network of one stretch of time.

    A network may know more frames than are its own: where two networks know a frame, the two pictures are blended.

    Args:
        first_frame: index of its first frame in the clip.
        frame_count: number of its frames.
        tensors: stored tensors by name, in the network's own order.
        lead: frames before its own that its network knows, too.
        tail: frames behind its own that its network knows, too.
        config: fields of the configuration in which this network differs from the file's; its number of frames, lead
            and tail included, need not stand here.
    """

    first_frame: int
    frame_count: int
    tensors: Mapping[str, StoredTensor]
    lead: int = 0
    tail: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def first_known(self) -> int:
        """Index in the clip of the frame that is frame 0 of the network."""
        return self.first_frame - self.lead

    @property
    def known_count(self) -> int:
        """Number of frames of the network: its own, those before and those behind."""
        return self.lead + self.frame_count + self.tail


@dataclass(frozen=True, kw_only=True)
class Audio:
    """Sound that rides along.

    Args:
        data: a media file with one audio stream, as FFmpeg reads it.
        container: its FFmpeg format name ("mp4", "matroska").
        codec: FFmpeg's name of the codec ("aac").
    """

    data: bytes
    container: str
    codec: str


@dataclass(frozen=True)
class Chunk:
    """A chunk of the box: bytes, with safetensors' name of their type and the shape.

    Args:
        data: the content.
        dtype: "U8", "F32", ...
        shape: of the content; one dimension of all bytes when None.
    """

    data: bytes
    dtype: str = "U8"
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class NervFile:
    """Everything a .nerv file says, entropy coding undone, weights still integers.

    Args:
        video: the clip that comes out.
        architecture: registry name of the network ("hnerv").
        config_version: version of its configuration class.
        config: its configuration, JSON-plain.
        segments: in time order, without gaps, together `video.frame_count` frames.
        source: where the clip came from: name, crop, scale, frame range; see `nervplay.video.transform.FrameTransform`.
        recipe: how the network was fitted and compressed, JSON-plain; for people and for `info`, never for decoding.
        audio: sound, or None.
        poster: a WebP still, or None.
        extras: chunks `x.`..., by name, those that nobody knows here among them. They may speak of the weights: who
            changes these leaves them out.
    """

    video: VideoSpec
    architecture: str
    config_version: int
    config: Mapping[str, Any]
    segments: tuple[Segment, ...]
    source: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    audio: Audio | None = None
    poster: bytes | None = None
    extras: Mapping[str, Chunk] = field(default_factory=dict)


def weights_sha256(segments: tuple[Segment, ...]) -> str:
    """Return the hash of all weights: hex SHA-256 over name, shape and little-endian content of every tensor, in order.

    Codes count as uint16 whatever their width in memory; float tensors as float32. Minimum and scale count, too.
    """
    digest = WeightsDigest()
    for segment in segments:
        digest.add(segment.tensors)
    return digest.hexdigest()


class WeightsDigest:
    """The hash of all weights, `weights_sha256`, taken segment by segment."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, tensors: Mapping[str, StoredTensor]) -> None:
        """Take the tensors of the next segment."""
        update = self._digest.update
        for name, tensor in tensors.items():
            quantised = isinstance(tensor, QuantisedTensor)
            update(f"{name} {list(tensor.shape)} {'codes' if quantised else 'float32'}\n".encode())
            if isinstance(tensor, QuantisedTensor):
                update(np.ascontiguousarray(tensor.codes, "<u2").tobytes())
                for part in (tensor.minimum, tensor.scale):
                    update(np.ascontiguousarray(part, "<f4").tobytes())
            else:
                update(np.ascontiguousarray(tensor, "<f4").tobytes())

    def hexdigest(self) -> str:
        """Return the hash of what was taken so far, in hexadecimal digits."""
        return self._digest.hexdigest()
