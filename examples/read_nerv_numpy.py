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
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

MODELS = ("uniform", "histogram", "laplace", "gaussian")


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


def gaussian_table(size: int, centre: int, shape: int, width: int) -> np.ndarray:
    """Return the frequencies of clause 5.8."""
    ratio = np.abs(np.arange(size) - centre) * 16.0 / width
    power = ratio
    for _ in range(shape - 1):
        power = power * ratio
    weights, root = [], [math.isqrt(1 << 59)]
    while len(root) < 10:
        root.append(math.isqrt(root[-1] << 30))
    for e in (np.minimum(np.sqrt(np.sqrt(power)), 31) * 1024).astype(int).tolist():
        weight = 1 << 30
        for j in range(10):
            weight = weight * root[j] >> 30 if e >> (9 - j) & 1 else weight
        weights.append(weight >> (e >> 10))
    total = sum(weights)
    ends = [g * (16384 - size) // total + s + 1 for s, g in enumerate(itertools.accumulate(weights))]
    return np.diff(ends, prepend=0)


def kernel_codes(steps: np.ndarray, zero: np.ndarray, weights: list[int], size: int) -> np.ndarray:
    """Return the codes of clause 5.12 from their differences, both (O, I, H, W)."""
    places = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))
    rest = np.pad(np.zeros_like(steps), ((0, 0), (0, 0), (2, 0), (2, 1)))  # codes - zero, with zeros outside the kernel
    for y, x in np.ndindex(steps.shape[2:]):
        total = sum(
            weight * rest[..., y + 2 + row, x + 2 + at] for weight, (row, at) in zip(weights, places, strict=True)
        )
        told = np.clip(zero[..., y, x] + (total + 32 >> 6), 0, size - 1)
        rest[..., y + 2, x + 2] = (steps[..., y, x] + told) % size - zero[..., y, x]
    return rest[..., 2:, 2:-1] + zero


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


class Segment:
    """Sequences of codes out of one segment (5)."""

    def __init__(self, chunk: bytes) -> None:
        blob = Bytes(chunk)
        side_bytes, raw_bytes, word_count, lanes = (blob.number(n) for n in (4, 4, 4, 2))
        self.side, self.raw = Bytes(blob.take(side_bytes)), Bytes(blob.take(raw_bytes))
        self.coder = Coder(np.frombuffer(blob.take(4 * lanes), "<u4"), np.frombuffer(blob.take(2 * word_count), "<u2"))
        blob.finish()

    def coding(self, model: str, bits: int) -> tuple[int, int, np.ndarray]:
        """Return raw bits, first high part and frequencies from the side information (5.3)."""
        if model not in MODELS:
            refuse(f"it uses the entropy model {model}, made by a newer nervplay")
        if model == "uniform":
            return bits, 0, np.array([16384])
        side = self.side
        flags, first, size = side.number(1), side.varint(), side.varint()
        if model == "histogram":
            return flags & 15, first, histogram_table(side, size, flags >> 4)
        if model == "laplace":
            return flags & 15, first, laplace_table(size, side.varint(), side.number(2))
        return flags & 15, first, gaussian_table(size, side.varint(), side.number(1), side.number(2))

    def sequence(self, count: int, coding: tuple[int, int, np.ndarray]) -> np.ndarray:
        """Return the next codes."""
        raw_bits, first, table = coding
        symbols = self.coder.symbols(count, table) if table.size > 1 else np.zeros(count, np.int64)  # 5.7
        low = fields(self.raw.take(math.ceil(count * raw_bits / 8)), np.full(count, raw_bits))
        return ((symbols + first) << raw_bits) | low

    def tensor(self, shape: list[int], bits: int, model: str, zero: np.ndarray | None = None) -> np.ndarray:
        """Return the codes of the next tensor; `zero` are the zero points of its maps (5.12)."""
        count = math.prod(shape)
        if model == "runs":  # 5.9
            code, gap_count, value_count, models = *(self.side.varint() for _ in range(3)), self.side.number(1)
            codings = self.coding(MODELS[models & 15], 8), self.coding(MODELS[models >> 4], bits)
            gaps, values = self.sequence(gap_count, codings[0]), self.sequence(value_count, codings[1])
            codes = np.full(count, code, np.int64)
            codes[np.cumsum(gaps)[gaps != 255] + np.arange(value_count)] = values
        elif model.startswith("previous-"):  # 5.10
            steps = self.sequence(count, self.coding(model.removeprefix("previous-"), bits)) - (1 << (bits - 1))
            steps = steps.reshape(shape[0] if shape else 1, -1)
            steps[0] += 1 << (bits - 1)
            codes = np.cumsum(steps, axis=0) % (1 << bits)
        elif model.startswith("kernel-") and zero is not None:  # 5.12
            weights = np.frombuffer(self.side.take(6), np.int8).tolist()
            steps = self.sequence(count, self.coding(model.removeprefix("kernel-"), bits)).reshape(shape)
            codes = kernel_codes(steps - (1 << (bits - 1)), np.broadcast_to(zero, shape), weights, 1 << bits)
        else:
            codes = self.sequence(count, self.coding(model, bits))
        return codes.reshape(shape)

    def finish(self) -> None:
        """Check that all was used (5.1)."""
        for part in (self.coder, self.side, self.raw):
            part.finish()


def coded_maps(chunk: bytes, sizes: list[int]) -> Iterator[np.ndarray]:
    """Yield minimum and scale of the float16 maps, in turn (5.11)."""
    models, blob = (*MODELS, "runs"), Segment(chunk[len(sizes) :])
    for size, number in zip(sizes, chunk, strict=False):
        scale = blob.tensor([size], 16, models[number & 15])
        minimum = (blob.tensor([size], 16, models[number >> 4]) + scale) % 65536
        yield from (part.astype("<u2").view("<f2").astype("<f4") for part in (minimum, scale))
    blob.finish()


def read(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray], str]:
    """Return head, {segment.name: float32 array} and hash of a file's bytes."""
    chunks = chunks_of(data)
    head = json.loads(zlib.decompress(chunks["head.z"]))
    tensors = [tensor for segment in head["segments"] for tensor in segment["tensors"]]
    sizes = [math.prod(t["scale_shape"]) for t in tensors if t["scale_dtype"] == "F16"]
    scales, digest, weights = Bytes(chunks.get("scales", b"")), hashlib.sha256(), {}
    maps = coded_maps(chunks["maps"], sizes) if "maps" in chunks else None
    for number, segment in enumerate(head["segments"]):
        blob = Segment(chunks[f"seg.{number:04d}"]) if f"seg.{number:04d}" in chunks else None
        for tensor in segment["tensors"]:
            name, shape = tensor["name"], tensor["shape"]
            kind = "float32" if tensor["bits"] == 32 else "codes"
            digest.update(f"{name} {shape} {kind}\n".encode())  # 7
            if blob and kind == "codes":
                dtype, bits = tensor["scale_dtype"], tensor["bits"]
                if maps and dtype == "F16":
                    minimum, scale = next(maps), next(maps)
                else:
                    size = math.prod(tensor["scale_shape"]) * int(dtype[1:]) // 8
                    dtype = {"F16": "<f2", "F32": "<f4"}[dtype]
                    minimum, scale = (np.frombuffer(scales.take(size), dtype).astype("<f4") for _ in range(2))
                minimum, scale = (part.reshape(tensor["scale_shape"]) for part in (minimum, scale))
                with np.errstate(all="ignore"):  # 5.12
                    zero = np.floor(0.5 - minimum.astype(float) / scale.astype(float))
                zero = np.clip(np.where(np.isnan(zero), 1 << (bits - 1), zero), 0, (1 << bits) - 1).astype(np.int64)
                q = blob.tensor(shape, bits, tensor["model"], zero)
                digest.update(q.astype("<u2").tobytes() + minimum.tobytes() + scale.tobytes())
                value = minimum + scale * q.astype(np.float32)  # 4.5
            else:
                value = np.frombuffer(chunks[f"f.{number:04d}.{name}"], "<f4").reshape(shape)
                digest.update(value.tobytes())
            weights[f"{number}.{name}"] = value
        if blob:
            blob.finish()
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
