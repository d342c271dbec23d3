"""Result files of measurements: a table with machine, commit and command above it."""

import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from nervplay import __version__
from nervplay.bitstream.atomic import atomic_write
from nervplay.errors import OutputError

__all__ = ["device_name", "table_text", "write_table"]

_HERE = Path(__file__).resolve().parent


def device_name(device: str) -> str:
    """Return what computes, in words: the GPU's name, or the processor's kind with its cores and PyTorch's threads."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"


def _version() -> str:
    """Return our version, and of a checkout the commit."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty"],  # noqa: S607 - wherever the user has it
            cwd=_HERE,
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
    except OSError:  # no git here
        described = ""
    return f"nervplay {__version__}" + (f" at {described}" if described else "")


def table_text(command: str, device: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in TSV with commit, versions, device and command above it.

    Args:
        command: what was run.
        device: see `device_name`.
        columns: names.
        rows: values, as many per row as there are columns.
    """
    lines = [
        f"# {_version()}, torch {torch.__version__}, {device_name(device)}",
        f"# {command}",
        "\t".join(columns),
        *("\t".join(map(str, row)) for row in rows),
    ]
    return "\n".join(lines) + "\n"


def write_table(
    target: Path, command: str, device: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Write `table_text` to a .tsv file, its folder made where it is missing; an older file is replaced.

    Raises:
        OutputError: the folder or the file cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"folder '{target.parent}' cannot be made: {error.strerror}; choose another target") from None
    atomic_write(target, table_text(command, device, columns, rows).encode(), overwrite=True)
