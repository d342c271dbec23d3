"""Bitstreams of the official HiNeRV code (`bitstreams/Q6.zip`): integers of every tensor, decoded without torchac.

    Qb.zip    model_compressed.pth.tar    zlib of a torch.save dict: scales, and per tensor symbols and a histogram;
                                          tensors of one dimension stand in it as float16
              KEY.bit                     coded integers of a tensor, those that pruning left
              KEY_mask.bit                coded 0 and 1: which ones pruning left

Source: official `compression/codec_utils.py`, `compression/quant_utils.py`. value = scale * integer, scale in float16.
The files are untrusted: sizes are bounded by what the network of the official arguments can need.
"""

import math
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nervplay.bitstream.layout import MAX_BITS, QuantisedTensor, StoredTensor
from nervplay.codec.carryless import decode_symbols, integer_cdf
from nervplay.codec.official_load import load_tensors
from nervplay.errors import CheckpointError

__all__ = ["HiNeRVZip", "is_hinerv_zip"]

_METADATA = "model_compressed.pth.tar"
_MAX_METADATA = 64 << 20
_KEY = ".parametrizations.weight.original"


def is_hinerv_zip(path: Path) -> bool:
    """Whether a file is a zip with HiNeRV's metadata in it; checkpoints of torch.save are zips, too."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.removeprefix("./") == _METADATA for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def _load_metadata(data: bytes) -> dict[str, Any]:
    """Return the nested dict of a torch.save file: tensors, sizes and numbers, all as tensors.

    It is read as every official checkpoint is: in a child process with limits (`official_load.load_tensors`).

    Raises:
        CheckpointError: something else.
    """
    with tempfile.TemporaryDirectory(prefix="nervplay-") as folder:
        path = Path(folder) / _METADATA
        path.write_bytes(data)
        flat = load_tensors(path)
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *parents, leaf = name.removeprefix("state_dict/").split("/")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = value
    if not isinstance(tree.get("quant_config"), dict):
        raise CheckpointError("its metadata has no quant_config; give a file that the official code wrote")
    return tree


def _array(value: Any, what: str) -> NDArray[Any]:
    """Return a tensor of the metadata as an array.

    Raises:
        CheckpointError: no tensor.
    """
    if not isinstance(value, Tensor):
        raise CheckpointError(f"{what} is no tensor; get the file again")
    return value.numpy()


class HiNeRVZip:
    """An opened bitstream. Tensor names are official ones, as in a checkpoint without parametrisations.

    Args:
        path: the file.

    Raises:
        CheckpointError: no sound bitstream.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self._members = {entry.filename.removeprefix("./"): entry for entry in archive.infolist()}
            packed = self._read(_METADATA, _MAX_METADATA)
            # Cut, and so damaged, if it would grow beyond the limit.
            tree = _load_metadata(zlib.decompressobj().decompress(packed, _MAX_METADATA))
        except CheckpointError as error:
            raise self._fault(str(error).rpartition("can be read: ")[2]) from None
        except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, RuntimeError) as error:
            raise self._fault(str(error)) from None
        self._scales: Mapping[str, Any] = tree["quant_config"]
        self._tensors = {
            name: value
            for name, value in tree.items()
            if name != "quant_config" and not name.endswith((".bitwidth", ".noise_ratio"))
        }

    def _fault(self, reason: str) -> CheckpointError:
        return CheckpointError(f"{self._path} is not a bitstream that can be read: {' '.join(reason.split())}")

    def _read(self, name: str, limit: int) -> bytes:
        """Return a member.

        Raises:
            CheckpointError: missing, damaged, or over `limit` bytes.
        """
        entry = self._members.get(name)
        if entry is None or entry.file_size > limit:
            raise self._fault(f"its member {name} is missing or over {limit} bytes; get the file again")
        try:
            with zipfile.ZipFile(self._path) as archive:
                return archive.read(entry)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise self._fault(f"its member {name} is damaged ({error}); get the file again") from None

    def names(self) -> list[str]:
        """Return the official names of all tensors, "decoder.stem.conv.weight", in file order."""
        return [name.replace(_KEY, ".weight") for name in self._tensors if not name.endswith("_mask")]

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a quantised tensor that is not pruned.

        Raises:
            CheckpointError: it is missing.
        """
        return self._coded_shape(f"{name.removesuffix('.weight')}{_KEY}")

    def _coded_shape(self, key: str) -> tuple[int, ...]:
        """Return the shape of what was coded under a name inside the file; (0,) where pruning left nothing."""
        entry = self._tensors.get(key)
        if not isinstance(entry, dict) or "dim" in entry:  # the official code writes None, which is left out
            raise self._fault(f"its tensor {key} is missing; check the official arguments")
        return tuple(int(side) for side in np.atleast_1d(_array(entry["shape"], key))) if "shape" in entry else (0,)

    def _integers(self, key: str, count: int) -> NDArray[np.int64]:
        """Return the coded integers of a member, flat.

        Args:
            key: name inside the file.
            count: how many there must be.

        Raises:
            CheckpointError: another number, or damage.
        """
        found = math.prod(self._coded_shape(key))
        entry = self._tensors[key]
        if found != count:
            raise self._fault(
                f"its tensor {key} has {found} integers, {count} are needed; check the official arguments"
            )
        if not found:
            return np.zeros(0, np.int64)
        symbols = _array(entry.get("sym"), key)
        histogram = _array(entry.get("cdf"), key)
        offset = int(_array(entry.get("offset"), key))
        fits = symbols.ndim == histogram.ndim == 1 and 1 <= len(symbols) == len(histogram) - 1 < 1 << 16
        if not fits or histogram.dtype != np.float32 or symbols.dtype.kind != "i" or not np.isfinite(histogram).all():
            raise self._fault(f"its tensor {key} has no fitting symbols and histogram; get the file again")
        frequencies = integer_cdf(histogram)
        if frequencies[0] != 0 or any(b <= a for a, b in pairwise(frequencies[:-1])):
            raise self._fault(f"the histogram of its tensor {key} does not rise; get the file again")
        data = self._read(f"{key}.bit", 2 * found + 64)  # a symbol takes 16 bits at most
        return symbols.astype(np.int64)[decode_symbols(data, frequencies, found)] + offset

    def tensor(self, name: str, shape: tuple[int, ...]) -> StoredTensor:
        """Return one tensor.

        Args:
            name: official name.
            shape: the shape that the network gives it.

        Returns:
            Integers with their map: code - 2**(bits - 1) is the official integer, pruned positions are 0 exactly.
            Tensors that the official code does not quantise come as float32.

        Raises:
            CheckpointError: missing, damaged or misshapen.
        """
        key = name if name in self._tensors else f"{name.removesuffix('.weight')}{_KEY}"
        if key not in self._scales:
            values = _array(self._tensors.get(key), name)
            if values.shape != shape:
                raise self._fault(f"its tensor {name} has shape {values.shape}, {shape} is needed; check the arguments")
            return values.astype(np.float32)
        count = math.prod(shape)
        integers = np.zeros(count, np.int64)
        if f"{key}_mask" in self._tensors:
            kept = self._integers(f"{key}_mask", count) != 0
            integers[kept] = self._integers(key, int(kept.sum()))
        else:
            integers = self._integers(key, count)
        scale = _array(self._scales[key].get("scale"), name)
        try:
            broadcast = np.broadcast_shapes(scale.shape, shape) == shape and scale.ndim in (0, len(shape))
        except ValueError:
            broadcast = False
        if not broadcast or scale.dtype != np.float16 or not np.isfinite(scale).all():
            raise self._fault(f"the scale of its tensor {name} does not fit {shape}; check the official arguments")
        return self._quantised(name, integers.reshape(shape), scale)

    def _quantised(self, name: str, integers: NDArray[np.int64], scale: NDArray[np.float16]) -> QuantisedTensor:
        """Return integers as codes; minimum + scale * code is exact, since minimum is scale times a power of two."""
        reach = max(int(integers.max(initial=0)), -1 - int(integers.min(initial=0)))
        bits = max(reach.bit_length() + 1, 2)
        if bits > MAX_BITS:
            raise self._fault(f"its tensor {name} has integers over {MAX_BITS} bits; get the file again")
        half = 1 << (bits - 1)
        wide = np.asarray(-half * scale.astype(np.float32), dtype=np.float32)
        with np.errstate(over="ignore"):
            minimum = wide.astype(np.float16)
        exact = np.array_equal(minimum.astype(np.float32), wide)
        return QuantisedTensor(
            codes=(integers + half).astype(np.uint8 if bits <= 8 else np.uint16),
            bits=bits,
            minimum=minimum if exact else wide,
            scale=scale if exact else scale.astype(np.float32),
        )
