"""Where calibration is kept between two programs: a file in the user's cache for each network, engine and need.

A file is 32 bytes of SHA-256, and an archive of NumPy's with this hash.
"""

import hashlib
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.atomic import atomic_write
from nervplay.decode.lowering import Conv
from nervplay.errors import OutputError
from nervplay.user_cache import user_cache

__all__ = ["Calibration", "Found", "Peaks", "cache_file", "load", "store"]

Found = NDArray[Any]
Peaks = dict[Conv, Found]
_REST = "rest"
_DIGEST = hashlib.sha256().digest_size


class Calibration(NamedTuple):
    """What an engine needs to know to compute a network with integer products.

    Args:
        peaks: the convolutions that have them, and what each needs.
        rest: what the others are computed in, one of `Bench.rests`.
    """

    peaks: Peaks
    rest: str


def cache_file(convolutions: Iterable[Conv], setting: str) -> Path:
    """Return where the calibration of a network is kept, by a hash of its convolutions and of what else matters.

    Args:
        convolutions: those that could have integer products.
        setting: all else that it depends on.
    """
    digest = hashlib.sha256(f"6 {setting}".encode())
    for conv in convolutions:
        digest.update(repr((conv.weight.shape, conv.size, conv.activation, conv.shuffle)).encode())
        digest.update(conv.weight.tobytes() + conv.bias.tobytes())
    return user_cache() / "calibration" / f"{digest.hexdigest()[:32]}.int8"


def load(path: Path, convolutions: Sequence[Conv], rests: Sequence[str]) -> Calibration | None:
    """Return what an earlier calibration found, or None.

    Args:
        path: `cache_file`.
        convolutions: as there.
        rests: what there can be beside integer products.
    """
    try:
        kept = path.read_bytes()
    except OSError:
        return None
    digest, data = kept[:_DIGEST], kept[_DIGEST:]
    if hashlib.sha256(data).digest() != digest:
        return None  # cut short or altered: it is made again
    try:
        with np.load(BytesIO(data), allow_pickle=False) as stored:
            rest = str(stored[_REST])
            peaks = {convolutions[int(name)]: stored[name] for name in stored.files if name != _REST}
    except (ValueError, IndexError, KeyError):
        return None  # of another network
    return Calibration(peaks, rest) if rest in rests else None


def store(path: Path, convolutions: Sequence[Conv], found: Calibration) -> None:
    """Keep what was found, whole or not at all; a cache that cannot be written is no fault."""
    data = BytesIO()
    arrays = {str(i): found.peaks[conv] for i, conv in enumerate(convolutions) if conv in found.peaks}
    np.savez(data, **(arrays | {_REST: np.array(found.rest)}))  # type: ignore[arg-type]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, hashlib.sha256(data.getvalue()).digest() + data.getvalue(), overwrite=True)
    except (OSError, OutputError):
        return
