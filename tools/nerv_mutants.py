"""Bent .nerv files: boxes taken apart, one part changed, all lengths and checksums repaired, so that the bend is read.

Used by tests/nervplay/bitstream and by tools/fuzz.py. Without the repair most mutants die at the first checksum.
"""

import json
import struct
import zlib
from typing import Any

import numpy as np

__all__ = ["box_of", "make_box", "mutant", "take_box"]

VALUES: list[Any] = [0, 1, -1, 2, 31, 32, 255, 256, 4097, 2**31, 2**63, 10**18, 1.5, None, True, "", "x", "uniform",
                     "laplace", "histogram", "gaussian", "runs", "previous-laplace", "previous-histogram", "F32", "F16",
                     [], [1], [0], [16, 8], [1] * 7, {}]  # fmt: skip


def take_box(data: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the header of a box, without offsets, and its chunks."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    base, chunks = 8 + length, {}
    for name, entry in sorted(header.items(), key=lambda item: item[1].get("data_offsets", [0])):
        if name != "__metadata__":
            start, stop = entry.pop("data_offsets")
            chunks[name] = data[base + start : base + stop]
    return header, chunks


def make_box(header: dict[str, Any], chunks: dict[str, bytes], *, repair: bool = True) -> bytes:
    """Build a box again; with `repair`, sizes of U8 chunks and all checksums fit what is in it."""
    header = json.loads(json.dumps(header))
    offset = 0
    for name, data in chunks.items():
        entry = header.setdefault(name, {"dtype": "U8", "shape": [len(data)]})
        entry["data_offsets"] = [offset, offset + len(data)]
        if repair and entry["dtype"] == "U8":
            entry["shape"] = [len(data)]
        offset += len(data)
    if repair:
        header["__metadata__"]["crc32"] = json.dumps({name: zlib.crc32(data) for name, data in chunks.items()})
    return box_of(json.dumps(header).encode(), b"".join(chunks.values()))


def box_of(header: bytes, payload: bytes = b"") -> bytes:
    """Return a box of a header and a payload as they are."""
    return struct.pack("<Q", len(header)) + header + payload


def _mutate_json(rng: np.random.Generator, value: Any) -> Any:
    """Return `value` with one place in it changed, removed or doubled."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = list(value)[rng.integers(len(value))]
        if rng.random() < 0.1:
            return {k: v for k, v in value.items() if k != key}
        return value | {key: _mutate_json(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = int(rng.integers(len(value)))
        if rng.random() < 0.1:
            return value[:at] + value[at : at + 1] * int(rng.integers(0, 3)) + value[at + 1 :]
        return [*value[:at], _mutate_json(rng, value[at]), *value[at + 1 :]]
    if type(value) is int and rng.random() < 0.6:
        return value + int(rng.integers(-2, 3))
    return VALUES[rng.integers(len(VALUES))]


def _mutate_bytes(rng: np.random.Generator, data: bytes) -> bytes:
    """Return `data` with a few bytes changed, cut, doubled or zeroed, mostly near the start, where the sizes are."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        span = len(out) if rng.random() < 0.5 else min(len(out), 80)
        at = int(rng.integers(span)) if span else 0
        choice = rng.integers(5)
        if choice == 0 and out:
            out[at] ^= 1 << int(rng.integers(8))
        elif choice == 1 and out:
            out[at] = int(rng.choice([0, 1, 127, 128, 255]))
        elif choice == 2:
            del out[at : at + int(rng.integers(1, 5))]
        elif choice == 3:
            out[at:at] = out[at : at + int(rng.integers(1, 9))] or b"\0"
        else:
            out[at:at] = rng.bytes(int(rng.integers(1, 5)))
    return bytes(out) or b"\0"


def mutant(rng: np.random.Generator, data: bytes) -> bytes:
    """Return a file with one part bent and all lengths and checksums repaired.

    Args:
        rng: what it draws from.
        data: a sound file, or an earlier mutant whose header still parses.

    Raises:
        Exception: whatever taking apart a file that is none provokes.
    """
    header, chunks = take_box(data)
    kind = rng.random()
    if kind < 0.45:
        head = _mutate_json(rng, json.loads(zlib.decompress(chunks["head.z"])))
        chunks["head.z"] = zlib.compress(json.dumps(head).encode(), 1)
    elif kind < 0.9:
        names = [name for name in chunks if name.startswith(("seg.", "scales", "maps", "head"))]
        name = names[rng.integers(len(names))]
        chunks[name] = _mutate_bytes(rng, chunks[name])
    else:
        name = list(chunks)[rng.integers(len(chunks))]
        entry = _mutate_json(rng, header[name])
        header[name] = entry if isinstance(entry, dict) and "dtype" in entry else header[name]
    return make_box(header, chunks, repair=True)
