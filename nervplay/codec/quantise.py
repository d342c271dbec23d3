"""Weights to integers: the affine quantiser of the official HNeRV code, and a plain per-tensor one.

Source: `quant_tensor` in the official `hnerv_utils.py` (github.com/haochen-rye/HNeRV at 4872129); parity in
tests/nervplay/codec/test_quantise.py.

    code = clamp(round((value - minimum) / scale), 0, 2**bits - 1)      value ~ minimum + scale * code
    scale = (maximum - minimum) / (2**bits - 1)                         round half to even, all in float32

Differences from the official code: where a tensor, or a slice of one, is constant, its scale is 0; the official code
then divides 0 by 0 and evaluates with NaN. Here such values get code 0 and come back as their minimum: exactly for a
constant tensor. Maps that float16 cannot hold are never chosen.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nervplay.bitstream.layout import MAX_BITS, QuantisedTensor
from nervplay.errors import UsageError

__all__ = ["Scheme", "quantise"]

Scheme = Literal["best-axis", "per-tensor", "per-tensor-float16", "per-row"]
"""How many maps a tensor gets, and of which type; see `quantise`."""

_LONG_AXIS = 50
"""An axis may have its own maps when it is longer: they then are less than 0.02 of the tensor, the official bound."""


def _with_map(values: NDArray[np.float32], bits: int, minimum: NDArray[Any], scale: NDArray[Any]) -> QuantisedTensor:
    """Return `values` as codes of a given map; a scale of 0 gives code 0."""
    top = 2**bits - 1
    low, step = minimum.astype(np.float32), scale.astype(np.float32)
    safe = np.where(step == 0, np.float32(1), step)
    codes = np.where(step == 0, np.float32(0), np.clip(np.rint((values - low) / safe), 0, top))
    kind = np.uint8 if bits <= 8 else np.uint16
    return QuantisedTensor(codes=codes.astype(kind), bits=bits, minimum=minimum, scale=scale)


def _whole(values: NDArray[np.float32], bits: int, kind: type[np.floating[Any]]) -> QuantisedTensor:
    """Return `values` under one map of type `kind`; in float32 where they are constant, which is exact."""
    low, high = values.min(), values.max()
    if low == high:
        kind = np.float32
    step = (high - low) / np.float32(2**bits - 1)
    with np.errstate(over="ignore"):
        pair = np.asarray(low, dtype=kind), np.asarray(step, dtype=kind)
    if not all(map(np.isfinite, pair)) or (pair[1] == 0 and low != high):
        raise UsageError(f"values of {low:g} .. {high:g} leave {kind.__name__}; quantise them with scheme 'per-tensor'")
    return _with_map(values, bits, *pair)


def _along(values: NDArray[np.float32], bits: int, axis: int) -> QuantisedTensor | None:
    """Return `values` with float16 maps over one axis, a pair for every position of the others; None beyond float16."""
    low, high = values.min(axis, keepdims=True), values.max(axis, keepdims=True)
    step = (high - low) / np.float32(2**bits - 1)
    with np.errstate(over="ignore"):
        minimum, scale = low.astype(np.float16), step.astype(np.float16)
    if not (np.isfinite(minimum).all() and np.isfinite(scale).all()) or ((scale == 0) & (step > 0)).any():
        return None
    return _with_map(values, bits, minimum, scale)


def _rows(values: NDArray[np.float32], bits: int) -> QuantisedTensor:
    """Return `values` with a float32 map for every index of dimension 0, shape (n, 1, ...)."""
    rest = tuple(range(1, values.ndim))
    low, high = values.min(rest, keepdims=True), values.max(rest, keepdims=True)
    with np.errstate(over="ignore"):
        step = (high - low) / np.float32(2**bits - 1)
    if not np.isfinite(step).all():
        raise UsageError(f"values of {values.min():g} .. {values.max():g} leave float32; fit it again")
    return _with_map(values, bits, low, step)


def quantise(tensor: Tensor, bits: int, *, scheme: Scheme = "best-axis") -> QuantisedTensor:
    """Return a tensor as integers with an affine map; `QuantisedTensor.dequantise` undoes it.

    Args:
        tensor: float, any shape, at least one element, finite; stays as it is.
        bits: 1 .. 16.
        scheme: "best-axis" (official): one float32 map, or float16 maps along one axis of more than 50 elements,
            whatever has the least mean absolute error (the first on a tie); "per-tensor": one float32 map;
            "per-tensor-float16": one float16 map, which a constant tensor does not get; "per-row": a float32 map for
            every index of dimension 0, which makes 1 bit exact for rows of -a and a.

    Raises:
        UsageError: bits outside 1 .. 16, an empty tensor, values that are not finite or leave the map's type.
    """
    if not 1 <= bits <= MAX_BITS:
        raise UsageError(f"{bits} bits cannot be had; a weight takes 1 to {MAX_BITS}")
    values = tensor.detach().cpu().float().numpy()
    if values.size == 0 or not np.isfinite(values).all():
        raise UsageError(f"a tensor of shape {values.shape} is empty or has values that are not finite; fit it again")
    if scheme == "per-tensor-float16":
        return _whole(values, bits, np.float16)
    if scheme == "per-row":
        return _rows(values, bits)
    best = _whole(values, bits, np.float32)
    if scheme == "per-tensor":
        return best

    def error(candidate: QuantisedTensor) -> float:
        return float(np.abs(values - candidate.dequantise()).mean(dtype=np.float64))

    least = error(best)
    for axis, length in enumerate(values.shape):
        candidate = _along(values, bits, axis) if length > _LONG_AXIS else None
        if candidate is not None and (loss := error(candidate)) < least:
            best, least = candidate, loss
    return best
