"""Every architecture through the one command line: fit, write, decode, measure, export.

    python benchmarks/architectures.py [--frames 16] [--epochs 30] [--output benchmarks/results/architectures.tsv]

Each `tiny` preset is fitted to the first frames of the bundled clip at 320x160, quantised to 8 and 6 bits, decoded from
its file and exported. The figures say that the path works and that the loss falls; they rank nothing: the networks are
tiny, of unequal size, and hardly trained.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from nervplay import __version__
from nervplay.models import preset_names

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT / "samples" / "bigbuckbunny.mp4"
COLUMNS = ("preset", "bytes", "bpp", "psnr_db_1_epoch", "psnr_db", "seconds", "exported_bytes")


def nervplay(*arguments: str) -> str:
    """Run the command line and return what it prints on standard output."""
    command = [sys.executable, "-m", "app.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def encode(preset: str, target: Path, frames: int, epochs: int) -> dict[str, float]:
    """Fit `preset` and return the summary that `nervplay encode --json` prints."""
    options = f"--preset {preset} --frames 0:{frames} --scale 320x160 --epochs {epochs} --device cpu --json --overwrite"
    summary: dict[str, float] = json.loads(nervplay("encode", str(CLIP), str(target), *options.split()))
    return summary


def measure(preset: str, folder: Path, frames: int, epochs: int) -> tuple[object, ...]:
    """Return one row of COLUMNS."""
    start = encode(preset, folder / "start.nerv", frames, 1)
    begun = time.perf_counter()
    end = encode(preset, folder / "end.nerv", frames, epochs)
    seconds = time.perf_counter() - begun
    picture = folder / "end.mp4"
    nervplay("export", str(folder / "end.nerv"), str(picture), "--overwrite")
    return (
        preset,
        end["file_bytes"],
        f"{end['bpp']:.4f}",
        f"{start['psnr_db']:.2f}",
        f"{end['psnr_db']:.2f}",
        f"{seconds:.0f}",
        picture.stat().st_size,
    )


def main() -> None:
    """Measure all tiny presets and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "architectures.tsv")
    options = parser.parse_args()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    lines = [
        f"# nervplay {__version__} at {commit}, torch {torch.__version__}, {os.cpu_count()} cores {platform.machine()}",
        f"# python benchmarks/architectures.py --frames {options.frames} --epochs {options.epochs}",
        "\t".join(COLUMNS),
    ]
    with tempfile.TemporaryDirectory() as folder:
        for preset in [name for name in preset_names() if name.endswith("-tiny")]:
            row = measure(preset, Path(folder), options.frames, options.epochs)
            lines.append("\t".join(map(str, row)))
            print(lines[-1], flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
