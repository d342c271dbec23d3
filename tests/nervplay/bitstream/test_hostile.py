"""Files made to hurt: every one is a `NervFile` or a `BitstreamError`, in bounded time and memory."""

import json
import math
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nervplay.bitstream import Audio, NervFile, QuantisedTensor, encode_nerv, peek_nerv, read_nerv
from nervplay.errors import BitstreamError

MEBIBYTES = 64


def outcome(data: bytes) -> NervFile | None:
    """What the file decodes to, None where it is refused; any other exception fails the test."""
    try:
        return read_nerv(data)
    except BitstreamError as error:
        assert str(error).startswith("these bytes: ")  # noqa: PT017 - both outcomes are right
        assert "\n" not in str(error)  # noqa: PT017 - likewise
        return None


@pytest.fixture(scope="module")
def tiny(tool: SimpleNamespace) -> bytes:
    """The smallest file that has all models and all kinds of chunks."""
    rng = np.random.default_rng(0)
    file = tool.make_file(
        config={}, source={}, recipe={}, poster=b"p", audio=Audio(data=b"a", container="mp4", codec="aac")
    )
    tensors = {
        "b": np.ones(1, np.float32),
        "w": tool.make_tensor(rng, (1, 90), 8),
        "one": tool.make_tensor(rng, (1,), 4),
    }
    tensors |= {"zeros": file.segments[0].tensors["zeros"]}
    segment = type(file.segments[0])(first_frame=0, frame_count=6, tensors=tensors)
    return encode_nerv(NervFile(**vars(file) | {"segments": (segment,)}))


def test_truncated_at_every_byte(tiny: bytes) -> None:
    for length in range(len(tiny)):
        assert outcome(tiny[:length]) is None


def test_every_single_bit_flipped(tool: SimpleNamespace, tiny: bytes) -> None:
    original = read_nerv(tiny)
    assert {t.model for t in peek_nerv(tiny).segments[0].tensors} == {"uniform", "laplace", "histogram", None}
    harmless = 0
    for position in range(len(tiny)):
        for bit in range(8):
            flipped = bytearray(tiny)
            flipped[position] ^= 1 << bit
            result = outcome(bytes(flipped))
            if result is not None:
                assert tool.same_content(result, original)
                harmless += 1
    assert harmless < 40, "blanks of the header and digits of the minor version, no more"


def header_with(count: int, **metadata: str) -> bytes:
    names = {f"t{n}": {"dtype": "U8", "shape": [1], "data_offsets": [n, n + 1]} for n in range(count)}
    return json.dumps({"__metadata__": {"format": "nervplay", "format_version": "1.0"} | metadata, **names}).encode()


def bomb(tool: SimpleNamespace, small: bytes) -> bytes:
    header, chunks = tool.take_box(small)
    chunks["head.z"] = zlib.compress(b'{"a":"' + b"a" * (50 << 20) + b'"}', 9)
    return bytes(tool.make_box(header, chunks))


def objects(tool: SimpleNamespace, small: bytes) -> bytes:
    """A head of 1 MiB that is nothing but empty objects."""
    header, chunks = tool.take_box(small)
    chunks["head.z"] = zlib.compress(b'{"a":[' + b"{}," * 349_000 + b"1]}", 9)
    return bytes(tool.make_box(header, chunks))


def claim(shape: list[int], count: int = 1, model: str = "laplace") -> Callable[[SimpleNamespace, bytes], bytes]:
    """A head that claims `count` huge tensors which the file cannot hold."""

    maps = 0

    def change(head: dict[str, Any]) -> None:
        nonlocal maps
        row, *rest = head["segments"][0]["tensors"]
        row |= {"shape": shape, "scale_shape": [], "model": model}
        rows = head["segments"][0]["tensors"] = [row | {"name": f"t{n}"} for n in range(count)] + rest
        widths = {"F16": 2, "F32": 4}
        maps = sum(2 * math.prod(r["scale_shape"]) * widths[r["scale_dtype"]] for r in rows if r["scale_dtype"])

    def make(tool: SimpleNamespace, small: bytes) -> bytes:
        header, chunks = tool.take_box(bytes(tool.change_head(small, change)))
        return bytes(tool.make_box(header, chunks | {"scales": bytes(maps)}))

    return make


def endless(tool: SimpleNamespace, small: bytes) -> bytes:
    """A segment whose 4 Mi symbols take no words and one lane: it would never run dry."""
    header, chunks = tool.take_box(claim([1 << 22])(tool, small))
    side = bytes([0, 0, 2, 0, 0, 0])  # laplace, no raw bits, two symbols from 0, centre 0, decay 0: 16383 to 1
    chunks["seg.0000"] = struct.pack("<IIIH", len(side), 0, 0, 1) + side + struct.pack("<I", 1 << 16)
    return bytes(tool.make_box(header, chunks))


def huge_frames(tool: SimpleNamespace, small: bytes) -> bytes:
    """A head that claims a clip of 16384x16384."""
    return bytes(tool.change_head(small, lambda head: head["video"].update(width=16384, height=16384)))


def endless_runs(tool: SimpleNamespace, small: bytes) -> bytes:
    """A tensor of 4 Mi weights as runs whose 4 Mi gaps take no words."""
    header, chunks = tool.take_box(claim([1 << 22], model="runs")(tool, small))
    number = bytes([0x80, 0x80, 0x80, 2])  # 2**22 as a varint
    side = b"\0" + number + number + b"\x22" + bytes([0, 0, 2, 0, 0, 0]) * 2
    chunks["seg.0000"] = struct.pack("<IIIH", len(side), 0, 0, 1) + side + struct.pack("<I", 1 << 16)
    return bytes(tool.make_box(header, chunks))


def wide_maps(tool: SimpleNamespace, small: bytes) -> bytes:
    """A tensor with 4 Mi float16 maps that are coded without words."""

    def change(head: dict[str, Any]) -> None:
        row, *_ = head["segments"][0]["tensors"]
        row |= {"shape": [1 << 22], "scale_shape": [1 << 22], "scale_dtype": "F16"}
        head["segments"][0]["tensors"] = [row]

    header, chunks = tool.take_box(bytes(tool.change_head(small, change)))
    side = bytes([0, 0, 2, 0, 0, 0])
    blob = struct.pack("<IIIH", 2 * len(side), 0, 0, 1) + side + side + struct.pack("<I", 1 << 16)
    chunks = {name: data for name, data in chunks.items() if name in ("head.z", "seg.0000", "audio", "poster.webp")}
    header = {name: entry for name, entry in header.items() if name in chunks or name == "__metadata__"}
    return bytes(tool.make_box(header, chunks | {"maps": b"\x22" + blob}))


HOSTILE: dict[str, tuple[Callable[[SimpleNamespace, bytes], bytes], str]] = {
    "200,000 tensors": (lambda tool, _: tool.box_of(header_with(200_000), bytes(200_000)), "header of .* is over"),
    "12,000 tensors": (lambda tool, _: tool.box_of(header_with(12_000), bytes(12_000)), "12000 chunks"),
    "decompression bomb": (bomb, "head is over 1[0-9]{6} "),
    "350,000 objects in the head": (objects, "head lacks 'video'"),
    "16k x 16k weights": (claim([16384, 16384]), "268436[0-9]* weights, over"),
    "10^50 weights": (claim([2**28] * 6), "weights, over"),
    "4000 times 4 Mi weights": (claim([1 << 22], 4000), "weights, over"),
    "2000 times 64 Ki weights": (claim([1 << 16], 2000), "131072[0-9]* weights are over"),
    "1 Mi weights without bits": (claim([1 << 20]), "decoding steps|too early"),
    "raw weights that are not there": (claim([1 << 22], model="uniform"), "too early"),
    "an endless stream": (endless, "decoding steps"),
    "16k x 16k frames": (huge_frames, "frames of 16384x16384 are over"),
    "endless runs": (endless_runs, "decoding steps"),
    "4 Mi maps": (wide_maps, "decoding steps"),
    "a header past the end": (lambda _, __: (1 << 19).to_bytes(8, "little") + b"{" + bytes(100), "truncated"),
    "a header of 2^63 bytes": (lambda _, __: (1 << 63).to_bytes(8, "little") + b"{" + bytes(100), "is over"),
    "a header of brackets": (lambda tool, _: tool.box_of(b'{"a":' + b"[" * ((1 << 20) - 10)), "nested deeper"),
    "a header of quotes": (lambda tool, _: tool.box_of(b'{"a":' + b'"\\' * ((1 << 19) - 10)), "not valid JSON"),
    "metadata of 300 KiB": (lambda tool, _: tool.box_of(header_with(1, note="n" * (300 << 10))), "metadata is over"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_refused_in_little_memory(tool: SimpleNamespace, small: bytes, name: str) -> None:
    make, message = HOSTILE[name]
    data = make(tool, small)
    with pytest.raises(BitstreamError, match=message):
        read_nerv(data)
    tracemalloc.start()
    try:
        outcome(data)
        assert tracemalloc.get_traced_memory()[1] < MEBIBYTES << 20
    finally:
        tracemalloc.stop()


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.nerv"
    with path.open("wb") as file:
        file.truncate((16 << 30) + 1)
    with pytest.raises(BitstreamError, match="17179869185 bytes are over the 17179869184 allowed"):
        read_nerv(path)


def test_the_largest_claim_that_is_allowed_is_bounded(tool: SimpleNamespace) -> None:
    """4 Mi equal weights, the most that a tiny file may hold, can be read."""
    zeros = {"z": _zeros(4 << 20)}
    file = tool.make_file(audio=None, poster=None)
    segment = type(file.segments[0])(first_frame=0, frame_count=6, tensors=zeros)
    data = encode_nerv(NervFile(**vars(file) | {"segments": (segment,)}))
    assert len(data) < 1500
    assert read_nerv(data).segments[0].tensors["z"].shape == (4 << 20,)


def _zeros(count: int) -> QuantisedTensor:
    return QuantisedTensor(codes=np.zeros(count, np.uint8), bits=1, minimum=np.float16(0), scale=np.float16(0))


def hunt(tool: SimpleNamespace, seeds: list[bytes], count: int, seed: int) -> int:
    """Read `count` mutants, each to a file or to the named error, and return how many were read."""
    rng = np.random.default_rng(seed)
    return sum(outcome(tool.mutant(rng, seeds[i % len(seeds)])) is not None for i in range(count))


def test_structured_mutants(tool: SimpleNamespace, tiny: bytes, small: bytes) -> None:
    assert 0 < hunt(tool, [tiny, small], 500, 1) < 500


@pytest.mark.slow
def test_many_structured_mutants(tool: SimpleNamespace, tiny: bytes, small: bytes) -> None:
    seeds = [tiny, small, *(path.read_bytes() for path in sorted(tool.golden_files.glob("*.nerv")))]
    assert 0 < hunt(tool, seeds, 8000, int(time.time())) < 8000
