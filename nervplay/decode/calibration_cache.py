"""Where calibration is kept between two programs: a file in the user's cache for each network, engine and need."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.atomic import atomic_write
from nervplay.decode.lowering import Conv
from nervplay.errors import OutputError

__all__ = ["Calibration", "Found", "Peaks", "cache_file", "load", "store"]

Found = NDArray[Any]
Peaks = dict[Conv, Found]
_REST = "rest"


class Calibration(NamedTuple):
    """What an engine needs to know to compute a network with integer products.

    Args:
        peaks: the convolutions that have them, and what each needs.
        rest: what the others are computed in, one of `Bench.rests`.
    """

    peaks: Peaks
    rest: str


def cache_file(convolutions: Iterable[Conv], setting: str) -> Path:
    """Return where the calibration of a network is kept, by a hash of all weights.

    Args:
        convolutions: those that could have integer products.
        setting: all else that it depends on.
    """
    digest = hashlib.sha256(f"5 {setting}".encode())
    for conv in convolutions:
        digest.update(repr((conv.weight.shape, conv.size, conv.activation, conv.shuffle)).encode())
        digest.update(conv.weight.tobytes() + conv.bias.tobytes())
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "nervplay" / "calibration" / f"{digest.hexdigest()[:32]}.npz"


def load(path: Path, convolutions: Sequence[Conv], rests: Sequence[str]) -> Calibration | None:
    """Return what an earlier calibration found, or None.

    Args:
        path: `cache_file`.
        convolutions: as there.
        rests: what there can be beside integer products.
    """
    try:
        data = BytesIO(path.read_bytes())  # of a path that is no archive, NumPy would leave the file open
        with np.load(data, allow_pickle=False) as stored:
            rest = str(stored[_REST])
            peaks = {convolutions[int(name)]: stored[name] for name in stored.files if name != _REST}
    except (OSError, ValueError, IndexError, KeyError, EOFError, BadZipFile):
        return None  # never made, or cut short: it is made again
    return Calibration(peaks, rest) if rest in rests else None


def store(path: Path, convolutions: Sequence[Conv], found: Calibration) -> None:
    """Keep what was found, whole or not at all; a cache that cannot be written is no fault."""
    data = BytesIO()
    arrays = {str(i): found.peaks[conv] for i, conv in enumerate(convolutions) if conv in found.peaks}
    np.savez(data, **(arrays | {_REST: np.array(found.rest)}))  # type: ignore[arg-type]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, data.getvalue(), overwrite=True)
    except (OSError, OutputError):
        return
