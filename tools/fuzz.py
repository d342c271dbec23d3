"""Fuzz the .nerv reader with atheris (libFuzzer): any bytes are a file or the named error, fast and in little memory.

    python tools/fuzz.py --seconds 60

Seeds are the golden files; mutants are structured (tools/nerv_mutants.py), so that they get past lengths and checksums,
or libFuzzer's own, guided by coverage of its parsers. Ends with 0 when nothing was found; what was found lies in
--artifacts. More than 10 seconds or 1 GiB for one file counts as found.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import atheris
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

# Of the parsers only: atheris 3.0.0 never frees numpy arrays that instrumented code compares, and fills the memory.
PARSERS = ["box", "head", "reader", "sections", "strict_json"]
with atheris.instrument_imports(include=[f"nervplay.bitstream.{name}" for name in PARSERS]):
    from nervplay.bitstream import encode_nerv, read_nerv, weights_sha256
    from nervplay.errors import BitstreamError

from nerv_mutants import mutant  # noqa: E402 - found only behind the line that names its folder

SECONDS_PER_FILE = 10
MEMORY_MIB = 1024
LARGEST = 50_000
_SELDOM = 64  # one sound file in so many is written again and read back


def read_one(data: bytes) -> None:
    """Read one file; whatever is raised but the named error is a find."""
    try:
        file = read_nerv(data)
    except BitstreamError as error:
        if "\n" in str(error):
            raise AssertionError("an error of more than one line") from error
        return
    if len(data) % _SELDOM == 0 and weights_sha256(read_nerv(encode_nerv(file)).segments) != weights_sha256(
        file.segments
    ):
        raise AssertionError("a file that was read is written differently")


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Return a mutant of `data` of at most `most` bytes: structured where that can be, else libFuzzer's own."""
    rng = np.random.default_rng(seed)
    if rng.random() < 0.8:
        try:
            bent = mutant(rng, data)
        except Exception:  # noqa: BLE001 - a mutant of mutants need not parse
            return atheris.Mutate(data, most)
        if len(bent) <= most:
            return bent
    return atheris.Mutate(data, most)


def main() -> None:
    """Run libFuzzer for a while."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--artifacts", type=Path, default=ROOT / "fuzz-findings")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as corpus:
        for seed in (ROOT / "tests" / "golden" / "nerv").rglob("*.nerv"):
            (Path(corpus) / seed.name).write_bytes(seed.read_bytes())
        flags = {
            "max_total_time": options.seconds, "timeout": SECONDS_PER_FILE, "rss_limit_mb": MEMORY_MIB,
            "max_len": LARGEST, "artifact_prefix": f"{options.artifacts}-", "print_final_stats": 1, "verbosity": 1,
        }  # fmt: skip
        atheris.Setup(
            [sys.argv[0], corpus, *(f"-{name}={value}" for name, value in flags.items())],
            read_one,
            custom_mutator=mutate,
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
