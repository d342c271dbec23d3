"""Runs by itself, in a process with a memory limit: an official checkpoint in, its tensors as safetensors out.

`torch.load(weights_only=True)` runs no foreign code, but a hostile file can still ask for all memory there is. So it
runs here, where `nervplay.codec.official_load` can end it. Usage: official_child.py CHECKPOINT OUT BYTES
"""

import gc
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

__all__ = ["convert", "limit_memory", "main", "tensors_of"]

_PARTS = ("state_dict", "embed", "temp", "norm", "model")


def limit_memory(allowance: int) -> None:
    """Cap the address space of this process at what it has now plus `allowance` bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + allowance
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def tensors_of(tree: Any, path: str) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor in nested dicts under its keys, joined by "/"; sizes and integers as int64 tensors."""
    if isinstance(tree, Tensor):
        yield path, tree.detach().contiguous().clone()
    elif isinstance(tree, torch.Size | int):
        yield path, torch.tensor(tree, dtype=torch.int64)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from tensors_of(value, f"{path}/{key}")


def convert(source: str, target: str) -> None:
    """Load a checkpoint and write the tensors of its parts, or of the whole where it has no parts that are known.

    Raises:
        TypeError: it holds no dict.
    """
    tree = torch.load(source, map_location="cpu", weights_only=True)
    if not isinstance(tree, dict):
        raise TypeError(f"it holds a {type(tree).__name__}, not a dict")
    parts = {key: tree[key] for key in _PARTS if key in tree} or {"state_dict": tree}
    save_file(dict(pair for key, part in parts.items() for pair in tensors_of(part, key)), target)


def main(arguments: list[str]) -> int:
    """Convert one checkpoint.

    Args:
        arguments: checkpoint, file to write, bytes of memory that this may take.

    Returns:
        0; 1 with the reason in one line on stderr.
    """
    source, target, allowance = arguments
    torch.set_num_threads(1)
    limit_memory(int(allowance))
    try:
        convert(source, target)
    except Exception as error:  # noqa: BLE001 - whatever a hostile file provokes becomes one line for the parent
        sys.stderr.write(" ".join(f"{type(error).__name__}: {error}".split())[:300] + "\n")
        return 1
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    gc.freeze()  # the process ends: its last collection, of all that PyTorch is, would take half a second
    sys.exit(code)
