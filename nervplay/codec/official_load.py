"""Official checkpoints, read with care: nothing of them is unpickled in this process.

First the zip and its pickle are looked at without running them: entries stored, not deflated (a deflated one can
inflate a thousandfold), sizes that the file really has, and no global but those that tensors need. Then a child process
with a memory limit and a time limit loads it with `weights_only=True` and hands the tensors back as safetensors.
"""

import pickletools
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from nervplay.errors import CheckpointError, MissingInputError

__all__ = ["load_tensors", "texts_in"]

_MAX_FILE = 2 << 30
_MAX_PICKLE = 32 << 20
_SPARE_MEMORY = 1 << 30
_SECONDS = 120
_GLOBALS = re.compile(r"collections OrderedDict|torch\._utils _rebuild_(tensor_v2|parameter)|torch (\w+Storage|Size)")


def _refuse(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{path} is not a checkpoint that can be read: {reason}")


def _pickle_fault(data: bytes) -> str | None:
    """Return what is wrong with a pickle: a global that plain tensors do not need, or damage; None when it is sound."""
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):
                return f"its pickle uses {opcode.name}; save it again with torch.save"
            if opcode.name == "GLOBAL" and not _GLOBALS.fullmatch(str(argument)):
                return f"it asks for '{argument}', which is no tensor; save the state dict alone"
    except Exception as error:  # noqa: BLE001 - pickletools raises whatever it meets
        return f"its pickle is damaged ({error}); get it again"
    return None


def _archive_fault(path: Path) -> str | None:
    """Return what is wrong with the zip, without running anything; None when it is sound."""
    size = path.stat().st_size
    if size > _MAX_FILE:
        return f"it has {size} bytes, over {_MAX_FILE}"
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                return "it has deflated entries, which torch.save never writes; save it again"
            if sum(entry.file_size for entry in entries) > size:
                return "its entries are larger than the file; get it again"
            pickles = [entry for entry in entries if entry.filename.endswith("data.pkl")]
            if len(pickles) != 1 or pickles[0].file_size > _MAX_PICKLE:
                return "it must hold one data.pkl of at most 32 MiB, as torch.save writes it"
            return _pickle_fault(archive.read(pickles[0]))
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError) as error:
        return f"{error}; files of PyTorch before 1.6 must be loaded and saved again with torch.save"


def _checked(path: str | Path) -> Path:
    """Return the path of a checkpoint whose zip and pickle look sound, nothing of them run.

    Raises:
        MissingInputError: no such file.
        CheckpointError: a file that is none, is damaged, or asks for more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist or is no file; give the .pth file that the official code wrote")
    if fault := _archive_fault(path):
        raise _refuse(path, fault)
    return path


def texts_in(path: str | Path) -> set[str]:
    """Return all texts in the pickle of a checkpoint, the keys of its dicts among them; nothing is loaded.

    Args:
        path: a .pth file as torch.save writes it since PyTorch 1.6.

    Raises:
        MissingInputError: no such file.
        CheckpointError: a file that is none, is damaged, or asks for more than tensors.
    """
    with zipfile.ZipFile(_checked(path)) as archive:
        name = next(entry for entry in archive.namelist() if entry.endswith("data.pkl"))
        opcodes = pickletools.genops(archive.read(name))
        return {argument for opcode, argument, _ in opcodes if "UNICODE" in opcode.name and isinstance(argument, str)}


def load_tensors(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of an official checkpoint on the CPU, keys of nested dicts joined by "/".

    Sizes and integers come as int64 tensors.
    Only "state_dict", "embed", "temp", "norm" and "model" are looked at (optimiser state is not), or the whole where it
    has none of them.

    Args:
        path: a .pth file as torch.save writes it since PyTorch 1.6.

    Raises:
        MissingInputError: no such file.
        CheckpointError: a file that is none, is damaged, or asks for more than tensors, memory or time allow.
    """
    path = _checked(path)
    with tempfile.TemporaryDirectory(prefix="nervplay-") as folder:
        target = Path(folder) / "tensors.safetensors"
        _convert(path, target)
        tensors: dict[str, Tensor] = load_file(target)
    return tensors


def _convert(path: Path, target: Path) -> None:
    """Have a child process write the tensors of a checkpoint to `target`, as safetensors.

    Raises:
        CheckpointError: it asks for more than tensors, memory or time allow.
    """
    child = Path(__file__).with_name("official_child.py")
    allowance = 4 * path.stat().st_size + _SPARE_MEMORY
    try:
        # -P: the folder of the child's file stays off its import path, where our module names could hide others.
        done = subprocess.run(  # noqa: S603 - our own interpreter and file; the path is one argument, no shell
            [sys.executable, "-P", str(child), str(path), str(target), str(allowance)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _refuse(path, f"loading it took more than {_SECONDS} seconds") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"the loading process ended with {done.returncode}"]
        raise _refuse(path, lines[-1])
