"""Read the weights of a .nerv file with numpy and the standard library: docs/spec/nerv-format.md as a program.

    python read_nerv_numpy.py clip.nerv

Prints clip, network and tensors, and whether the weights have the hash that the file states. Short, not hardened:
limits (clause 2) and most refusals are left to nervplay's own reader. Clause numbers stand at the lines.
"""

import hashlib
import itertools
import json
import math
import sys
import zlib
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

MODELS = ("uniform", "histogram", "laplace")


def refuse(why: str) -> NoReturn:
    """Stop with one line."""
    raise SystemExit(f"cannot read this file: {why}")


class Bytes:
    """A byte string that is taken from front to back."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        if self.at + count > len(self.data):
            refuse("it ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size: int) -> int:
        """Return the next little-endian integer of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def varint(self) -> int:
        """Return the next varint (5.2)."""
        byte = self.number(1)
        return byte if byte < 128 else byte - 128 + (self.varint() << 7)

    def finish(self) -> None:
        """Check that all was taken."""
        if self.at != len(self.data):
            refuse("it has bytes too many")


def fields(data: bytes, widths: np.ndarray) -> np.ndarray:
    """Return the packed fields of `widths` bits each as integers (5.2)."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little").astype(np.int64)
    starts = np.cumsum(widths) - widths
    values = np.zeros(len(widths), np.int64)
    for bit in range(int(max(widths, default=0))):
        there = widths > bit
        values[there] |= bits[starts[there] + bit] << bit
    return values


def chunks_of(data: bytes) -> dict[str, bytes]:
    """Return {name: bytes} of the box, checksums compared (1, 3)."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    metadata = header.pop("__metadata__", {})
    if metadata.get("format") != "nervplay":
        refuse("it is not a .nerv file")
    if int(metadata["format_version"].split(".")[0]) != 1:  # 3.5
        refuse("it was made by a newer nervplay")
    crc, chunks = json.loads(metadata["crc32"]), {}
    for name, entry in header.items():
        start, stop = entry["data_offsets"]
        chunks[name] = data[8 + size + start : 8 + size + stop]
        if zlib.crc32(chunks[name]) != crc[name]:  # 3.2
            refuse(f"the chunk {name} was altered")
    return chunks


def histogram_table(side: Bytes, size: int, precision: int) -> np.ndarray:
    """Return the frequencies of clause 5.4."""
    if size == 1:
        return np.array([16384])
    groups = math.ceil(size / 8)
    widths = fields(side.take(math.ceil(groups / 2)), np.full(groups, 4))
    widths = np.repeat(widths, 8)[:size]
    table = fields(side.take(math.ceil(int(widths.sum()) / 8)), widths)
    return table << (14 - precision)


def laplace_table(size: int, centre: int, decay: int) -> np.ndarray:
    """Return the frequencies of clause 5.5, by Python's own integers."""
    powers, base, high = [1 << 30], {1: decay << 14}, 1
    for d in range(1, size):
        if d == 2 * high:
            base[d], high = base[high] * base[high] >> 30, d
        powers.append(powers[d - high] * base[high] >> 30)
    weights = [powers[abs(s - centre)] for s in range(size)]
    running, total = itertools.accumulate(weights), sum(weights)
    ends = [g * (16384 - size) // total + s + 1 for s, g in enumerate(running)]
    return np.diff(ends, prepend=0)


class Coder:
    """The rANS decoder of one segment (6)."""

    def __init__(self, states: np.ndarray, words: np.ndarray) -> None:
        self.x, self.words, self.at = states.astype(np.int64), words.astype(np.int64), 0

    def symbols(self, count: int, table: np.ndarray) -> np.ndarray:
        """Return the next `count` symbols."""
        symbol_at, start = np.repeat(np.arange(table.size), table), np.cumsum(table) - table
        result = np.empty(count, np.int64)
        for low in range(0, count, self.x.size):  # a row (6.3)
            x = self.x[: count - low]
            m = x & 16383
            s = symbol_at[m]
            x[:] = table[s] * (x >> 14) + m - start[s]  # 6.2
            short = np.flatnonzero(x < 65536)
            x[short] = x[short] << 16 | self.words[self.at : self.at + short.size]
            self.at += short.size
            result[low : low + x.size] = s
        return result

    def finish(self) -> None:
        """Check the end (6.4)."""
        if self.at != self.words.size or (self.x != 65536).any():
            refuse("the coded weights do not end as they must")


def codes_of(chunk: bytes, tensors: list[dict[str, Any]]) -> list[np.ndarray]:
    """Return the codes of a segment's tensors, each with its shape (5)."""
    blob = Bytes(chunk)
    side_bytes, raw_bytes, word_count, lanes = (blob.number(n) for n in (4, 4, 4, 2))
    side, raw = Bytes(blob.take(side_bytes)), Bytes(blob.take(raw_bytes))
    coder = Coder(np.frombuffer(blob.take(4 * lanes), "<u4"), np.frombuffer(blob.take(2 * word_count), "<u2"))
    blob.finish()
    result = []
    for tensor in tensors:
        count, model = math.prod(tensor["shape"]), tensor["model"]
        if model not in MODELS:
            refuse(f"it uses the entropy model {model}, made by a newer nervplay")
        raw_bits, first, table = tensor["bits"], 0, np.array([16384])
        if model != "uniform":
            flags, first, size = side.number(1), side.varint(), side.varint()
            raw_bits = flags & 15
            if model == "histogram":
                table = histogram_table(side, size, flags >> 4)
            else:
                table = laplace_table(size, side.varint(), side.number(2))
        symbols = coder.symbols(count, table) if table.size > 1 else np.zeros(count, np.int64)  # 5.7
        low = fields(raw.take(math.ceil(count * raw_bits / 8)), np.full(count, raw_bits))
        result.append((((symbols + first) << raw_bits) | low).reshape(tensor["shape"]))
    for part in (coder, side, raw):
        part.finish()
    return result


def read(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray], str]:
    """Return head, {segment.name: float32 array} and hash of a file's bytes."""
    chunks = chunks_of(data)
    head = json.loads(zlib.decompress(chunks["head.z"]))
    scales, digest, weights = Bytes(chunks.get("scales", b"")), hashlib.sha256(), {}
    for number, segment in enumerate(head["segments"]):
        coded = [t for t in segment["tensors"] if t["bits"] != 32]
        codes = iter(codes_of(chunks[f"seg.{number:04d}"], coded) if coded else ())
        for tensor in segment["tensors"]:
            name, shape = tensor["name"], tensor["shape"]
            kind = "float32" if tensor["bits"] == 32 else "codes"
            digest.update(f"{name} {shape} {kind}\n".encode())  # 7
            if kind == "codes":
                q, dtype = next(codes), {"F16": "<f2", "F32": "<f4"}[tensor["scale_dtype"]]
                size = math.prod(tensor["scale_shape"]) * int(dtype[2])
                minimum, scale = (np.frombuffer(scales.take(size), dtype).astype("<f4") for _ in range(2))
                digest.update(q.astype("<u2").tobytes() + minimum.tobytes() + scale.tobytes())
                minimum, scale = (part.reshape(tensor["scale_shape"]) for part in (minimum, scale))
                value = minimum + scale * q.astype(np.float32)  # 4.5
            else:
                value = np.frombuffer(chunks[f"f.{number:04d}.{name}"], "<f4").reshape(shape)
                digest.update(value.tobytes())
            weights[f"{number}.{name}"] = value
    scales.finish()
    return head, weights, digest.hexdigest()


if __name__ == "__main__":
    head, weights, digest = read(Path(sys.argv[1]).read_bytes())
    video, network = head["video"], head["architecture"]
    print(f"{video['width']}x{video['height']}, {video['frame_count']} frames, {network['name']} v{network['version']}")
    for name, value in weights.items():
        print(f"{name:40} {value.shape!s:20} {value.min():12.5g} {value.max():12.5g}")
    print("sha256", digest, "as stated" if digest == head["weights_sha256"] else "NOT AS STATED")
    sys.exit(digest != head["weights_sha256"])
