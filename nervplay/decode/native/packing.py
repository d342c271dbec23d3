"""Weights as the kernels read them: Winograd's transform, panels of vectors, 16-bit products that cannot overflow.

Layouts (L lanes of a vector, P = 3 vectors of a panel at most; `gemm.h` splits by the same rule):

    Winograd    [panel][position][channel][L * vectors]      float32
    16 bits     [panel][position][channel pair][L * vectors][2]   int16
    in pairs    [panel][position][sums, channel pair, see `wino_pairs.h`][L * vectors][2]   int16, sums int32
    line        [trio][channel][position][3]             float32
    16 bits     [trio][channel pair][position][3][2]     int16
    line in pairs   [six][half of the positions][sums, channel][position][6]   float32
    16 bits         [six][half of the positions][sums, channel pair][position][6][2]   int16, sums int32
    direct      [panel][tap][channel][L * vectors]           float32
    head        [tap][output][channels padded to L]          float32
    16 bits     [tap][output][channel pairs padded to L][2]  int16
    1x1         [panel][channel pair][L * vectors][2]    int16
    depthwise   [tap][channels padded to L]                  float32
    linear      [vector][input][L]                           float32

Winograd's method: Lavin and Gray, arXiv 1509.09308; points 0, 1, -1, 2, -2, 1/2, -1/2, infinity (`winograd.h`).
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "INPUT",
    "LIMIT",
    "TRIO",
    "Head16",
    "Packed16",
    "aligned",
    "pack_depthwise",
    "pack_direct",
    "pack_head",
    "pack_head16",
    "pack_line",
    "pack_line16",
    "pack_line_pairs",
    "pack_line_pairs16",
    "pack_linear",
    "pack_winograd",
    "pack_winograd16",
    "padded",
    "pairs_order",
    "panel_ranges",
    "panels",
    "range_table",
    "settled",
    "shuffle_order",
    "tops",
    "transformed",
]

Float = NDArray[np.float32]

LIMIT = 16383
"""What the calibrated maximum of an input becomes: 15 bits with sign. Another frame may have twice as much before
anything saturates, at 16 bits."""
_PAIRED_LIMIT, _PAIRED_WEIGHT = 12287, 8191
"""The same, and the largest weight, where products are in pairs (`wino_pairs.h`): the sum of a weight and a value of
twice that limit lies within 16 bits."""

TRIO = 3
"""Output channels that `line.h` computes together."""

_LINE = 64
"""Bytes of a line of the cache."""

HEAD_LANES = 8
"""Vectors of so many lanes read a row of a head's taps as one line of channels (`head.h`)."""

_WORTH = 0.9
"""Panels read only the channels that they need where those are at most this part of all."""

_SIX, _GROUP = 6, 3
"""Output channels that `line_pairs.h` computes together, and channels of which it takes two as a pair."""
_ORDER = (1, 2, 3, 4, 5, 6, 0, 7)
"""Its order of positions."""

_POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
INPUT = np.array(
    [
        [1, 0, -5.25, 0, 5.25, 0, -1, 0],
        [0, 1, 1, -4.25, -4.25, 1, 1, 0],
        [0, -1, 1, 4.25, -4.25, -1, 1, 0],
        [0, 0.5, 0.25, -2.5, -1.25, 2, 1, 0],
        [0, -0.5, 0.25, 2.5, -1.25, -2, 1, 0],
        [0, 2, 4, -2.5, -5, 0.5, 1, 0],
        [0, -2, 4, 2.5, -5, -0.5, 1, 0],
        [0, -1, 0, 5.25, 0, -5.25, 0, 1],
    ]
)
"""B^T of the paper: what `transform_input` computes."""


class Packed16(NamedTuple):
    """Weights of 16-bit products.

    Args:
        weights: int16.
        scale: float32 (outputs, or padded ones), what one unit of a result is worth.
        norm: float32 (positions, padded channels), `LIMIT` / calibrated maximum.
        axes: float32 (2, 17), coefficients of the transform back along columns and along rows.
    """

    weights: NDArray[np.int16]
    scale: Float
    norm: Float
    axes: Float


class Head16(NamedTuple):
    """A head, or a convolution of 1x1, of 16-bit products.

    Args:
        weights: int16, flat.
        scale: float32 (outputs,), what one unit of a result is worth; padded for 1x1.
        units: float32 (C,), 16-bit units per 1 of the input, `LIMIT` / calibrated maximum; padded for 1x1.
    """

    weights: NDArray[np.int16]
    scale: Float
    units: Float


def padded(count: int, step: int) -> int:
    """Return the smallest multiple of `step` that is at least `count`."""
    return -(-count // step) * step


def aligned(values: NDArray[Any]) -> NDArray[Any]:
    """Return a copy, flat, that begins with a line of the cache: of a vector across two lines both would be read."""
    flat = np.ascontiguousarray(values).reshape(-1)
    room = np.empty(flat.nbytes + _LINE, np.uint8)
    start = -room.ctypes.data % _LINE
    made = room[start : start + flat.nbytes].view(flat.dtype)
    made[:] = flat
    return made


def panels(outputs: int, lanes: int, most: int) -> list[tuple[int, int]]:
    """Return (first, last + 1) output of each panel; they cover `outputs` padded to whole vectors.

    Args:
        outputs: channels or values.
        lanes: L.
        most: vectors of the widest panel.
    """
    vectors = -(-outputs // lanes)
    count = -(-vectors // most)
    each, more = divmod(vectors, count)
    starts = [panel * each + min(panel, more) for panel in range(count + 1)]
    return [(a * lanes, b * lanes) for a, b in pairwise(starts)]


def shuffle_order(outputs: int, factor: int) -> NDArray[np.int64]:
    """Return the output channels (c, i, j) of a convolution in the order (i, j, c) in which the kernels store them."""
    return np.arange(outputs).reshape(outputs // factor**2, factor**2).T.ravel()


@lru_cache
def _weight_transform(taps: int) -> NDArray[np.float64]:
    """Return G of the paper, float64 (8, taps); solved from A^T [(G g) * (B^T d)] = correlation of d with g, for all d.

    For one tap it is (1, 1): nothing is transformed in that direction.
    """
    if taps == 1:
        return np.ones((1, 1))
    outputs = 9 - taps
    back = np.zeros((outputs, 8))
    back[:, :7] = [[point**row for point in _POINTS] for row in range(outputs)]
    back[-1, 7] = 1
    # One equation per output o, input d and tap k, in the unknowns G[position, k]; columns of G are independent.
    columns = []
    for tap in range(taps):
        left = np.concatenate([back[row] * INPUT.T for row in range(outputs)])
        right = np.concatenate([np.eye(8)[row + tap] for row in range(outputs)])
        columns.append(np.linalg.lstsq(left, right, rcond=None)[0])
    return np.stack(columns, axis=1)


def transformed(weight: Float) -> NDArray[np.float64]:
    """Return Winograd's transform of a weight: float32 (C', C, kh, kw) to float64 (positions, C, C').

    Args:
        weight: kernels of 1, 3 or 5 taps in each direction.
    """
    outputs, channels, rows, columns = weight.shape
    both = np.kron(_weight_transform(rows), _weight_transform(columns))
    taps = weight.transpose(2, 3, 1, 0).reshape(rows * columns, -1)
    return np.asarray(both @ taps, np.float64).reshape(-1, channels, outputs)


def _wide(values: NDArray[Any], lanes: int) -> Float:
    """Return values as C-contiguous float32, with zeros behind the last axis, up to whole vectors."""
    wide = np.zeros((*values.shape[:-1], padded(values.shape[-1], lanes)), np.float32)
    wide[..., : values.shape[-1]] = values
    return wide


def panel_ranges(weight: Float, lanes: int, most: int) -> list[tuple[int, int]] | None:
    """Return (first, last + 1) of the input channels that each panel reads, whole pairs; None where that saves little.

    Of a 3-D convolution (`volumes`) and of a grouped one many weights are 0.

    Args:
        weight: float32 (C', C, kh, kw), outputs in stored order.
        lanes: L.
        most: vectors of the widest panel.
    """
    channels = weight.shape[1]
    found = []
    for a, b in panels(weight.shape[0], lanes, most):
        used = np.flatnonzero(weight[a:b].any(axis=(0, 2, 3)))
        first, end = (used[0] // 2 * 2, used[-1] + 1) if len(used) else (0, 2)
        found.append((int(first), min(padded(int(end), 2), channels)))
    read = sum(end - first for first, end in found)
    return found if read <= _WORTH * channels * len(found) else None


def range_table(
    weight: Float, ranges: Sequence[tuple[int, int]], lanes: int, most: int, *, whole: bool
) -> NDArray[np.int32]:
    """Return `nk_op.ranges`, int32 (panels, 3).

    Args:
        weight: float32 (C', C, kh, kw).
        ranges: what `panel_ranges` gave.
        lanes: L.
        most: vectors of the widest panel.
        whole: whether products are of integers.
    """
    rows, start = [], 0
    for (a, b), (first, end) in zip(panels(weight.shape[0], lanes, most), ranges, strict=True):
        depth = padded(end - first, 2) // 2 if whole else end - first
        rows.append((first, depth, start))
        start += int(np.prod([1 if taps == 1 else 8 for taps in weight.shape[2:]])) * depth * (b - a)
    return np.array(rows, np.int32)


def pack_winograd(weight: Float, lanes: int, most: int, ranges: Sequence[tuple[int, int]] | None = None) -> Float:
    """Return the weights of `NK_WINO`, flat.

    Args:
        weight: float32 (C', C, kh, kw), outputs in stored order.
        lanes: L.
        most: vectors of the widest panel.
        ranges: input channels that each panel reads; None for all.
    """
    parts = panels(weight.shape[0], lanes, most)
    read = ranges or [(0, weight.shape[1])] * len(parts)
    # Panel by panel: all of a large layer, in float64, would take half a gigabyte.
    each = (transformed(weight[a:b, c:d]) for (a, b), (c, d) in zip(parts, read, strict=True))
    return np.concatenate([_wide(u, lanes).ravel() for u in each])


def _axis_units(wanted: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return units of rows and columns of positions whose products are near `wanted`, (rows, columns) in logarithms.

    The unit of position 2 is 1 on each axis that has eight; what is common to all is left out.
    """
    rows, columns = np.exp2(wanted.mean(axis=1)), np.exp2(wanted.mean(axis=0))
    return rows / rows[min(2, len(rows) - 1)], columns / columns[min(2, len(columns) - 1)]


def _axis_coefficients(unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the coefficients of `transform_sums` in `winograd.h`, (17,), for the units of the positions of an axis."""
    if len(unit) == 1:
        return np.zeros(17)
    two, half = unit[4], unit[6]
    pairs = [(two * 2.0**power, half * 0.5**power) for power in range(6)]
    return np.array([1 * unit[1], unit[3] / two, unit[5] / half, unit[0], *np.ravel(pairs), unit[7]])


def _pairs16(weight: Float, peak: Float, norms: Float | None = None, *, in_pairs: bool = False) -> Packed16:
    """Return transformed weights as 16-bit integers, (positions, pairs of C, C', 2), and their units.

    The unit of a sum is that of its row of positions times that of its column times that of its output: the smallest
    for which neither a weight leaves its bits nor the sum of all |weight| times the largest value leaves 31.

    Args:
        weight: float32 (C', C, kh, kw), outputs in stored order.
        peak: float32 (positions, padded C), largest magnitudes of the transformed input; from calibration.
        norms: float32 (C,), integers to 1 where that is settled, at all positions, 0 where peaks decide; None for all.
        in_pairs: whether weights are added to values.
    """
    limit, largest = (_PAIRED_LIMIT, _PAIRED_WEIGHT) if in_pairs else (LIMIT, 32767)
    u = transformed(weight)
    positions, channels, outputs = u.shape
    top = settled(tops(peak[:, :channels]), norms, limit)
    u = u * (top / limit)[:, :, None]
    room = 2.0**31 / (2 * limit + 2) - channels  # rounding adds at most 1/2 per weight
    least = np.maximum(np.maximum(np.abs(u).sum(axis=1) / room, np.abs(u).max(axis=1) / largest), 1e-30)
    sides = tuple(1 if taps == 1 else 8 for taps in weight.shape[2:])
    rows, columns = _axis_units(np.log2(least.max(axis=1)).reshape(sides))
    shared = np.outer(rows, columns).reshape(-1, 1)
    scale = (least / shared).max(axis=0)
    pairs = np.zeros((positions, channels + channels % 2, outputs), np.int16)
    pairs[:, :channels] = np.rint(u / (shared * scale)[:, None, :])
    pairs = pairs.reshape(positions, -1, 2, outputs).transpose(0, 1, 3, 2)
    norm = np.zeros(peak.shape, np.float32)
    norm[:, :channels] = limit / top
    axes = np.stack([_axis_coefficients(rows), _axis_coefficients(columns)]).astype(np.float32)
    return Packed16(pairs, scale.astype(np.float32), norm, axes)


def pairs_order(words: int) -> list[int]:
    """Return the words of a tile as `wino_pairs.h` reads their weights: a pair, then one from behind all pairs."""
    paired = (words + 1) // 3 * 2
    return sorted(range(words), key=lambda word: (word // 2 if word < paired else word - paired, word))


def _behind_sums(words: NDArray[np.int16], lanes: int, most: int) -> NDArray[np.int16]:
    """Return the weights of products in pairs, flat: those of a panel behind what its pairs take off.

    Two words of a pair and one from behind them follow each other, but in panels of one vector, which has no pairs.

    Args:
        words: int16 (positions, words, padded C', 2).
        lanes: L.
        most: vectors of the widest panel.
    """
    count = words.shape[1]
    paired = (count + 1) // 3 * 2
    first, second = words[:, :paired:2].astype(np.int32), words[:, 1:paired:2].astype(np.int32)
    sums = -(first * second).sum(axis=(1, 3), dtype=np.int32)[:, None]
    both = np.concatenate([sums.view(np.int16).reshape(len(words), 1, -1, 2), words], axis=1)
    apart, together = range(1 + count), [0, *(1 + word for word in pairs_order(count))]
    parts = panels(words.shape[2], lanes, most)
    return np.concatenate([both[:, apart if b - a == lanes else together, a:b].ravel() for a, b in parts])


def pack_winograd16(
    weight: Float,
    peak: Float,
    lanes: int,
    most: int,
    ranges: Sequence[tuple[int, int]] | None = None,
    *,
    norms: Float | None = None,
    in_pairs: bool = False,
) -> Packed16:
    """Return the weights of `NK_WINO16`.

    Args:
        weight: float32 (C', C, kh, kw), outputs in stored order.
        peak: float32 (positions, padded C), largest magnitudes of the transformed input; from calibration.
        lanes: L.
        most: vectors of the widest panel.
        ranges: input channels that each panel reads; None for all.
        norms: float32 (C,), integers to 1 where that is settled, at all positions, 0 where peaks decide; None for all.
        in_pairs: whether `wino_pairs.h` multiplies them: what its pairs take off stands before them.
    """
    whole, outputs = _pairs16(weight, peak, norms, in_pairs=in_pairs), weight.shape[0]
    pairs = np.pad(whole.weights, ((0, 0), (0, 0), (0, padded(outputs, lanes) - outputs), (0, 0)))
    if in_pairs:
        assert ranges is None
        return whole._replace(weights=_behind_sums(pairs, lanes, most), scale=_wide(whole.scale, lanes))
    parts = panels(outputs, lanes, most)
    read = ranges or [(0, weight.shape[1])] * len(parts)
    flat = [pairs[:, c // 2 : (d + 1) // 2, a:b].ravel() for (a, b), (c, d) in zip(parts, read, strict=True)]
    return whole._replace(weights=np.concatenate(flat), scale=_wide(whole.scale, lanes))


def pack_line(weight: Float) -> Float:
    """Return the weights of `NK_LINE`, flat, from float32 (C', C, 1, 3) with outputs in stored order, C' by `TRIO`."""
    u = transformed(weight).astype(np.float32)
    return u.reshape(*u.shape[:2], -1, TRIO).transpose(2, 1, 0, 3).ravel()


def pack_line16(weight: Float, peak: Float) -> Packed16:
    """Return the weights of `NK_LINE16`; the products are those of `pack_winograd16`.

    Args:
        weight: float32 (C', C, 1, 3), outputs in stored order, C' by `TRIO`.
        peak: float32 (8, padded C), largest magnitudes of the transformed input; from calibration.
    """
    whole = _pairs16(weight, peak)
    pairs = whole.weights.reshape(*whole.weights.shape[:2], -1, TRIO, 2).transpose(2, 1, 0, 3, 4)
    return whole._replace(weights=pairs.ravel())


def pack_line_pairs(weight: Float) -> tuple[Float, Float, Float]:
    """Return the weights of `NK_LINE_PAIRS`, flat, its `norm`, (channels by three, 8), and its `scale`, (C',).

    Norm and scale are powers of two. Weights are divided by both, values multiplied by the norm, sums by the scale, so
    that nothing that counts is lost beside what is larger: all outputs become as large, and all channels; at each
    position a value is as large as a weight, whatever the transforms make of both. `line_pairs.h` divides a tile by its
    largest value times the norm of the first position.

    Args:
        weight: float32 (C', C, 1, 3), outputs in stored order, C' by 6.
    """
    order = list(_ORDER)
    u = transformed(weight)[order].transpose(1, 0, 2)
    least = np.abs(u).max() * 1e-6 + 1e-30
    scale = np.exp2(np.rint(np.log2(np.abs(u).max(axis=(0, 1)) + least)))
    u /= scale
    size = np.abs(u).max(axis=2) + 1e-6
    channel = size.max(axis=1, keepdims=True)
    position = np.sqrt((size / channel).max(axis=0) / np.linalg.norm(INPUT, axis=1)[order])
    norm = np.exp2(np.rint(np.log2(channel * position[0] * position)))
    more = ((0, -len(u) % _GROUP), (0, 0))
    norm, u = np.pad(norm, more), np.pad(u / norm[:, :, None], (*more, (0, 0)))
    # Products are of what is rounded to float32; what is taken off is summed exactly.
    u = u.astype(np.float32).astype(np.float64)
    off = -(u[0::_GROUP] * u[1::_GROUP]).sum(axis=0)
    parts = np.concatenate([off[None], u]).reshape(len(u) + 1, 2, 4, -1, _SIX)
    flat = parts.transpose(3, 1, 0, 2, 4).astype(np.float32).ravel()
    return flat, norm.astype(np.float32), scale.astype(np.float32)


def pack_line_pairs16(weight: Float, peak: Float) -> Packed16:
    """Return the weights of `NK_LINE_PAIRS16`; the products are those of `pack_winograd16` in pairs.

    Args:
        weight: float32 (C', C, 1, 3), outputs in stored order, C' by 6.
        peak: float32 (8, padded C), largest magnitudes of the transformed input; from calibration.
    """
    whole = _pairs16(weight, peak, in_pairs=True)
    halves = np.ascontiguousarray(whole.weights[list(_ORDER)])
    positions, words, _, _ = halves.shape
    second = halves[:, 1::_GROUP].astype(np.int32)
    off = -(halves[:, ::_GROUP][:, : second.shape[1]] * second).sum(axis=(1, 3), dtype=np.int32)
    parts = np.concatenate([off[:, None], halves.view(np.int32)[..., 0]], axis=1)
    flat = parts.reshape(2, positions // 2, words + 1, -1, _SIX).transpose(3, 0, 2, 1, 4)
    return whole._replace(weights=np.ascontiguousarray(flat).view(np.int16).ravel())


def pack_direct(weight: Float, lanes: int, most: int) -> Float:
    """Return the weights of `NK_DIRECT`, flat, from float32 (C', C, kh, kw) with outputs in stored order."""
    outputs, channels = weight.shape[:2]
    taps = _wide(weight.transpose(2, 3, 1, 0).reshape(-1, channels, outputs), lanes)
    return np.concatenate([taps[:, :, a:b].ravel() for a, b in panels(outputs, lanes, most)])


def _head_lines(weight: Float, lanes: int) -> Float:
    """Return the weights of a head, (taps, C', C); where vectors have `HEAD_LANES`, (kh, C', kw C)."""
    outputs, channels, kh, kw = weight.shape
    if lanes == HEAD_LANES:
        return weight.transpose(2, 0, 3, 1).reshape(kh, outputs, kw * channels)
    return weight.transpose(2, 3, 0, 1).reshape(kh * kw, outputs, channels)


def pack_head(weight: Float, lanes: int) -> Float:
    """Return the weights of `NK_HEAD`, float32 `_head_lines` with padded channels, from float32 (C', C, kh, kw)."""
    return _wide(_head_lines(weight, lanes), lanes)


def tops(peak: Float) -> NDArray[np.float64]:
    """Return calibrated maxima (..., C) as they are used: a silent channel may speak elsewhere."""
    top: NDArray[np.float64] = peak.astype(np.float64)
    least: NDArray[np.float64] = top.max(axis=-1, keepdims=True) * 0.02 + 1e-9
    return np.maximum(top, least)


def settled(top: NDArray[np.float64], norms: Float | None, limit: int = LIMIT) -> NDArray[np.float64]:
    """Return maxima (..., C) for which `limit` / maximum is what `norms`, (C,), say, where they are not 0."""
    if norms is None:
        return top
    return np.where(norms > 0, limit / np.maximum(norms, 1e-30), top)


def pack_head16(weight: Float, peak: Float, lanes: int) -> Head16:
    """Return the weights of `NK_HEAD16`: the finest for which no sum can leave 32 bits, as in `pack_winograd16`.

    Args:
        weight: float32 (C', C, kh, kw), C even.
        peak: float32 (C,), largest magnitudes of the input; from calibration.
        lanes: L.
    """
    outputs, top = len(weight), tops(peak)
    u = (weight * (top / LIMIT)[:, None, None]).reshape(outputs, -1)
    room = 2.0**16 - u.shape[1]
    scale = np.maximum(np.maximum(np.abs(u).sum(axis=1) / room, np.abs(u).max(axis=1) / 32767), 1e-30)
    whole = _head_lines(np.rint(u / scale[:, None]).reshape(weight.shape), lanes)
    pairs = np.zeros((*whole.shape[:2], 2 * padded(whole.shape[2] // 2, lanes)), np.int16)
    pairs[..., : whole.shape[2]] = whole
    return Head16(pairs.ravel(), scale.astype(np.float32), (LIMIT / top).astype(np.float32))


def pack_depthwise(weight: Float, lanes: int) -> Float:
    """Return the weights of a depthwise convolution, float32 (taps, padded C), from float32 (C, 1, kh, kw)."""
    channels = weight.shape[0]
    return _wide(weight.reshape(channels, -1).T, lanes)


def pack_linear(weight: Float, lanes: int) -> Float:
    """Return the weights of a linear layer, float32 (vectors, inputs, L), from float32 (outputs, inputs)."""
    wide = _wide(weight.T, lanes)
    return np.ascontiguousarray(wide.reshape(wide.shape[0], -1, lanes).transpose(1, 0, 2))
