"""How fast weights are coded, and how small: 3 M weights in 50 tensors, alternately Gaussian and Laplacian.

    python benchmarks/bitstream.py [--output benchmarks/results/bitstream.tsv]

Time is process time of one core; the bytes of zlib and LZMA on the same codes stand beside ours.
"""

import argparse
import lzma
import os
import platform
import subprocess
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.segment import CodedTensor, RowBudget, decode_segment, encode_segment

ROOT = Path(__file__).resolve().parent.parent
SIZE = 60_000
TENSORS = 50


def weights() -> list[NDArray[np.uint8]]:
    """Return the codes of all tensors, 8 bits each."""
    rng = np.random.default_rng(5)
    draws = [rng.normal(0, 20, SIZE) if i % 2 else rng.laplace(0, 14, SIZE) for i in range(TENSORS)]
    return [np.clip(np.rint(128 + draw), 0, 255).astype(np.uint8) for draw in draws]


def entropy_bytes(tensors: list[NDArray[np.uint8]]) -> float:
    """Return the order-0 entropy of all tensors, each under its own histogram, in bytes."""
    total = 0.0
    for codes in tensors:
        share = np.bincount(codes)[np.bincount(codes) > 0] / codes.size
        total -= codes.size * float((share * np.log2(share)).sum()) / 8
    return total


def clocked(work: Callable[[], object], rounds: int = 5) -> float:
    """Return the least process time of `rounds` calls, in seconds."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "bitstream.tsv")
    options = parser.parse_args()
    tensors = weights()
    raw = b"".join(codes.tobytes() for codes in tensors)
    blob, models = encode_segment([(codes, 8) for codes in tensors])
    table = [CodedTensor(SIZE, 8, model) for model in models]
    entropy = entropy_bytes(tensors)
    rows = [
        ("order-0 entropy", round(entropy), "", ""),
        (
            "nervplay", len(blob), f"{clocked(lambda: encode_segment([(codes, 8) for codes in tensors])):.3f}",
            f"{clocked(lambda: decode_segment(blob, table, 'seg.0000', RowBudget())):.3f}",
        ),
    ]  # fmt: skip
    for name, pack, unpack in (
        ("zlib -9", lambda: zlib.compress(raw, 9), zlib.decompress),
        ("LZMA", lambda: lzma.compress(raw), lzma.decompress),
    ):
        packed = pack()
        rows.append(
            (name, len(packed), f"{clocked(pack, 1):.3f}", f"{clocked(lambda u=unpack, p=packed: u(p), 1):.3f}")
        )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    lines = [
        f"# commit {commit}, numpy {np.__version__}, {os.cpu_count()} cores {platform.machine()}; process time",
        "# python benchmarks/bitstream.py",
        "coder\tbytes\tover entropy\tencode s\tdecode s",
        *(f"{name}\t{size}\t{size / entropy - 1:+.2%}\t{encode}\t{decode}" for name, size, encode, decode in rows),
    ]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
