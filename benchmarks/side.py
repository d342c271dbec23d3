"""What the benchmarks of fitting share: the clip, the head of a result file, and how it is written."""

import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from ffmpeg_bridge import open_source
from nervplay import __version__
from nervplay.video import FrameSource, FrameTransform
from nervplay.video.selection import parse_size

__all__ = ["CLIP", "ROOT", "device_name", "open_clip", "write_table"]

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT / "samples" / "bigbuckbunny.mp4"


def open_clip(size: str, frames: int) -> FrameSource:
    """Return the first frames of the bundled clip, scaled.

    Args:
        size: "WxH".
        frames: how many.
    """
    return FrameTransform(scale=parse_size(size), frames=(0, frames)).apply(open_source(CLIP))


def device_name(device: str) -> str:
    """Return what computes, in words: the GPU's name, or the processor's kind with its cores and PyTorch's threads."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"


def write_table(
    target: Path, command: str, device: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Write a table with commit, versions, device and command above it.

    Args:
        target: a .tsv file.
        command: what was run.
        device: see `device_name`.
        columns: names.
        rows: values, as many per row as there are columns.
    """
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    lines = [
        f"# nervplay {__version__} at {commit}, torch {torch.__version__}, {device_name(device)}",
        f"# {command}",
        "\t".join(columns),
        *("\t".join(map(str, row)) for row in rows),
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(lines) + "\n")
