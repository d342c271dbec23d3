"""Which maps of nets are narrow: 16-bit integers between convolutions with 16-bit products (`narrow.h`).

A map is narrow where all that write it can store integers, and all that read it take them: convolutions after
Winograd's transform down and across, 1x1 convolutions, and, as what is added, the first of these. How large its values
get must be known from calibration, channel by channel; they are counted so that twice that can be stored.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from itertools import accumulate

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nervplay.decode.graph import Value
from nervplay.decode.lowering import Conv
from nervplay.decode.native.packing import INPUT
from nervplay.decode.nets import Slice, Unit, map_channels

__all__ = ["NARROW_MOST", "NARROW_STEPS", "NARROW_VALUE", "held", "is_square", "narrow_maps", "narrow_units"]

Float = NDArray[np.float32]

NARROW_MOST = 13800
"""Largest magnitude of an integer stored; the calibrated maximum is at most half of it."""
NARROW_STEPS = 4
"""Integers of the map to one of what Winograd's transform makes of it."""
NARROW_VALUE = 24575
"""Largest magnitude of these: `WINO_MOST` of the kernels."""

_POSITIONS = 64
"""Rows of peaks of a transformed input; one behind them is of the input itself."""
_UNKNOWN = 2.0**-60
"""Below all that a calibration calls the largest value of a channel, but for one of zeros."""


def narrow_maps(
    kinds: Mapping[Unit, str], peaks: Mapping[Conv, Float], elsewhere: AbstractSet[Value]
) -> dict[Value, Float]:
    """Return the narrow maps of some nets and, float32 (C,), integers to 1 of their channels.

    Args:
        kinds: their units, and the kernel of each.
        peaks: of convolutions with 16-bit products, what calibration measured (`plan.peak_shape`).
        elsewhere: maps that others read.
    """
    made = {unit.target.value for unit in kinds}
    unfit, largest = {value for unit in kinds for value in unit.inputs()} - made | elsewhere, dict[Value, Float]()
    for unit, kind in kinds.items():
        if not _takes_part(unit, kind):
            unfit.update([unit.target.value, *unit.inputs()])
            continue
        if unit.added and kind != "wino16":
            unfit.add(unit.added.value)
        for part, found in zip(unit.sources, _cut(unit, kind, peaks[unit.conv]), strict=True):
            if found.max() < _UNKNOWN:
                unfit.add(part.value)
            known = largest.setdefault(part.value, np.zeros(map_channels(part.value), np.float32))
            here = known[part.first : part.first + part.channels]
            np.maximum(here, found, out=here)
    return {value: _units(peak) for value, peak in largest.items() if value not in unfit and _fits(value)}


def _takes_part(unit: Unit, kind: str) -> bool:
    """Whether a unit can read and write narrow maps."""
    return kind == "flat16" or (kind == "wino16" and is_square(unit.conv))


def is_square(conv: Conv) -> bool:
    """Return whether a convolution has taps down and across."""
    return bool(min(conv.weight.shape[2:]) > 1)


def _fits(value: Value) -> bool:
    """Whether each row of a map is as long as some floats."""
    return map_channels(value) * value.shape[-1] % 2 == 0


def _cut(unit: Unit, kind: str, peak: Float) -> Iterable[Float]:
    """Return the magnitudes of each source of a unit that half of what can be stored has to hold; 0 for not known."""
    whole = peak if kind == "flat16" else _square(peak)
    ends = accumulate(part.channels for part in unit.sources)
    return [whole[end - part.channels : end] for part, end in zip(unit.sources, ends, strict=True)]


def _square(peak: Float) -> Float:
    """Return the same of the input of a convolution with taps down and across."""
    if len(peak) == _POSITIONS or peak[-1].max() < _UNKNOWN:
        return np.zeros(peak.shape[1], np.float32)
    # Twice as much fits into what comes out of the transform, too.
    fitting = peak[:-1].max(axis=0) * (NARROW_MOST / NARROW_VALUE / NARROW_STEPS)
    return np.asarray(np.maximum(peak[-1], fitting), np.float32)


def _units(peak: Float) -> Float:
    """Return integers to 1; a channel that was silent may speak elsewhere."""
    return np.asarray(NARROW_MOST / 2 / np.maximum(peak, peak.max() * 0.02), np.float32)


def held(maps: Tensor, conv: Conv) -> Float:
    """Return what half of the integers of a narrow map would have to hold, for it and its transform down, float32 (C,).

    Args:
        maps: float32 (B, H, W, C), what a convolution with taps down and across reads.
        conv: the convolution.
    """
    tile, positions = 9 - conv.weight.shape[2], len(INPUT)
    bands = -(-conv.out_size[0] // tile)
    below = (bands - 1) * tile + positions - conv.padding[0] - maps.shape[1]
    rows = F.pad(maps, (0, 0, 0, 0, conv.padding[0], max(below, 0)))
    tiles = torch.stack([rows[:, r : r + (bands - 1) * tile + 1 : tile] for r in range(positions)])
    down = torch.from_numpy(INPUT).float() @ tiles.flatten(1)
    largest = down.abs().reshape(-1, maps.shape[-1]).amax(dim=0) * (NARROW_MOST / (1 << 15))
    return np.asarray(torch.maximum(maps.abs().amax(dim=(0, 1, 2)), largest).numpy(), np.float32)


def narrow_units(parts: Iterable[Slice], maps: Mapping[Value, Float]) -> Float | None:
    """Return integers to 1 of the channels of parts side by side, 0 where a map is not narrow; None where none is."""
    found = [
        maps[value][first : first + channels] if value in maps else np.zeros(channels, np.float32)
        for value, first, channels in parts
    ]
    units = np.concatenate(found)
    return units if units.any() else None
