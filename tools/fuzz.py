"""Fuzz the .nerv reader with atheris (libFuzzer): any bytes are a file or the named error, fast and in little memory.

    python tools/fuzz.py --seconds 60

Seeds are the golden files; mutants are structured (tools/nerv_mutants.py), so that they get past lengths and checksums,
or libFuzzer's own, guided by coverage of its parsers. Ends with 0 when nothing was found; what was found lies in
--artifacts. More than a minute or 1 GiB for one file counts as found.
"""

import argparse
import inspect
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import atheris
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from nerv_mutants import mutant  # noqa: E402 - found only behind the line that names its folder

from nervplay.bitstream import box, encode_nerv, head, read_nerv, sections, strict_json, weights_sha256  # noqa: E402 - likewise
from nervplay.bitstream.arrays import decode_arrays  # noqa: E402 - likewise
from nervplay.bitstream.calibration import decode_calibration  # noqa: E402 - likewise
from nervplay.bitstream.segment import RowBudget  # noqa: E402 - likewise
from nervplay.errors import BitstreamError  # noqa: E402 - likewise

SECONDS_PER_FILE = 60  # of wall time: a busy machine may let a process wait for some
SECONDS_PER_PROCESS = 60  # instrumented code leaks a little all the same
PARSERS = (box, head, sections, strict_json)
"""What is instrumented: atheris 3.0.0 never frees what instrumented code compares, and arrays would fill the memory."""
MEMORY_MIB = 1024
LARGEST = 50_000
_SELDOM = 64  # one sound file in so many is written again and read back


def instrument() -> None:
    """Let libFuzzer see which branches of the parsers are taken."""
    for module in PARSERS:
        owners = [module, *(thing for thing in vars(module).values() if inspect.isclass(thing))]
        for owner in owners:
            for thing in list(vars(owner).values()):
                if inspect.isfunction(thing) and thing.__module__ == module.__name__:
                    atheris.instrument_func(thing)


def read_one(data: bytes) -> None:
    """Read one file; whatever is raised but the named error is a find."""
    try:
        file = read_nerv(data)
    except BitstreamError as error:
        if "\n" in str(error):
            raise AssertionError("an error of more than one line") from error
        return
    for chunk in file.extras.values():
        read_calibration(chunk.data)
    if len(data) % _SELDOM == 0 and weights_sha256(read_nerv(encode_nerv(file)).segments) != weights_sha256(
        file.segments
    ):
        raise AssertionError("a file that was read is written differently")


def read_calibration(data: bytes) -> None:
    """Read a chunk as a calibration of whatever weights it is of, its arrays as some that might be."""
    try:
        for record in decode_calibration(data, data[:16].hex().ljust(64, "0")).values():
            decode_arrays(record[2:], [(64 * 21, 8), (7, 10), (30, 8)], "x.int8", RowBudget())
    except BitstreamError:
        return


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


def run(corpus: str, seconds: int, artifacts: Path) -> None:
    """Run libFuzzer in this process, which it ends: with 0 when nothing was found."""
    instrument()
    flags = {
        "max_total_time": seconds, "timeout": SECONDS_PER_FILE, "rss_limit_mb": MEMORY_MIB, "max_len": LARGEST,
        "artifact_prefix": f"{artifacts}-", "print_final_stats": 1, "verbosity": 0,
    }  # fmt: skip
    atheris.Setup(
        [sys.argv[0], corpus, *(f"-{name}={value}" for name, value in flags.items())], read_one, custom_mutator=mutate
    )
    atheris.Fuzz()


def main() -> None:
    """Run libFuzzer for a while, in one process after the other over one growing corpus, and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--artifacts", type=Path, default=ROOT / "fuzz-findings")
    parser.add_argument("--corpus", help="run in this process, over this folder")
    options = parser.parse_args()
    if options.corpus:
        run(options.corpus, options.seconds, options.artifacts)
    files, end = 0, time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory() as corpus:
        for seed in (ROOT / "tests" / "golden" / "nerv").rglob("*.nerv"):
            (Path(corpus) / seed.name).write_bytes(seed.read_bytes())
        while (left := round(end - time.monotonic())) > 0:
            one = ["--seconds", str(min(left, SECONDS_PER_PROCESS)), "--artifacts", str(options.artifacts)]
            command = [sys.executable, __file__, "--corpus", corpus, *one]
            done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
            files += sum(map(int, re.findall(r"number_of_executed_units: (\d+)", done.stderr)))
            if done.returncode:
                sys.exit(f"{done.stderr}\nfuzz: a find after {files} files, in {options.artifacts}-*")
    print(f"fuzz: {files} files in {options.seconds} seconds, nothing found")


if __name__ == "__main__":
    main()
