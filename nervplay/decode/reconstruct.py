"""Layer-wise reconstruction: units and integers with which a convolution gives what it gave in floats.

In closed form, of what a few frames showed (`observed`); three steps, each of which sees what the one before lost.

1. `fit_units`: the zero of a map and the unit of each of its channels. A smaller unit rounds more finely, and clips
   more: both errors are known from the channel's distribution, and count as much as the weights that read it.
2. `round_weights`: weights are rounded one input after the other, and each rounding error is made up for by the weights
   that are still to come, as far as their inputs vary together (Frantar et al., GPTQ, arXiv 2210.17323, algorithm 1, on
   Hassibi and Stork's optimal brain surgeon). The loss is that of Nagel et al. (AdaRound, arXiv 2004.10568, eq. 21) and
   the layer-wise Li et al. (BRECQ, arXiv 2102.05426), who learn by gradient which of two neighbours to take. Here one
   factorisation serves all outputs, and weights may move by more than a step.
3. `corrected`: the bias takes what is left of the mean (Nagel et al., arXiv 1906.04721, section 4.2).

Inputs are those of the exact network, plus the rounding noise of this map. What convolutions before it add is 1e-5 of
their variance at eight bits and changes no covariance that matters; their means are corrected where they arise.
A file's own eight bits have another grid (minimum and unit of each tensor or row, before batch norms are folded), so
its weights are rounded again here, even those of a quantised checkpoint.
"""

import numpy as np
from numpy.typing import NDArray

from nervplay.decode.lowering import Conv
from nervplay.decode.observed import Moments, Spread
from nervplay.decode.quantise import PAIR_SUM, Integers, Units, in_steps, quantised, restored, weights8

__all__ = ["corrected", "fit_units", "integers", "round_weights", "rounded"]

Float = NDArray[np.float32]
Double = NDArray[np.float64]

_FACTORS = np.geomspace(4.0, 0.1, 64)
"""Units that are tried, in 255ths of what a channel spans."""
_ZEROS = range(-128, 128, 4)
_DAMPING = 0.01
"""Part of the mean variance that is added to each: few patches know little of how inputs vary together."""
_AT_ONCE = 128
"""Weights of an output that are rounded before the errors are brought to those behind them."""


class _Tails:
    """Values beyond a threshold, by channel: their number and their first and second moment, of `Spread`."""

    def __init__(self, spread: Spread) -> None:
        counts, centres = spread.counts, spread.centres
        self._total = np.maximum(counts.sum(axis=1), 1)
        self._width = centres[:, 1] - centres[:, 0]
        powers = np.stack([counts, counts * centres, counts * centres**2])
        zeros = np.zeros((*powers.shape[:2], 1))
        self._above = np.concatenate([np.cumsum(powers[..., ::-1], axis=-1)[..., ::-1], zeros], axis=-1)
        self._below = np.concatenate([zeros, np.cumsum(powers, axis=-1)], axis=-1)

    def _moments(self, threshold: Double, *, above: bool) -> Double:
        """Return count, sum and sum of squares per value of all values beyond thresholds, (..., C): (3, ..., C)."""
        bins = self._above.shape[-1] - 1
        place = np.clip(np.floor(threshold / self._width) + bins // 2 + above, 0, bins).astype(int)
        table = self._above if above else self._below
        found: Double = table[:, np.arange(len(self._width)), place] / self._total
        return found

    def clipped(self, low: Double, high: Double) -> tuple[Double, Double]:
        """Return what clipping to [low, high], (..., C), adds to the mean of a channel, and its squared error."""
        mean, error = np.zeros_like(high), np.zeros_like(high)
        for threshold, above in ((high, True), (low, False)):
            count, first, second = self._moments(threshold, above=above)
            mean += threshold * count - first
            error += second - 2 * threshold * first + threshold**2 * count
        return mean, error


def fit_units(spread: Spread, importance: Double) -> Units:
    """Return the units of least squared error of what reads a map.

    Args:
        spread: of the map, C channels.
        importance: (C,), the sum of the squares of all weights that read a channel.
    """
    tails = _Tails(spread)
    step = np.maximum((spread.high - spread.low) / 255, 1e-12) * _FACTORS[:, None]
    best, found = np.inf, Units(step[0].astype(np.float32), 0)
    for zero in _ZEROS:
        error = np.square(step) / 12 + tails.clipped((-128 - zero) * step, (127 - zero) * step)[1]
        chosen = error.argmin(axis=0)[None]
        total = float(np.take_along_axis(error, chosen, 0)[0] @ importance)
        if total < best:
            best, found = total, Units(np.take_along_axis(step, chosen, 0)[0].astype(np.float32), zero)
    return found


def _upper(covariance: Double) -> Double:
    """Return the upper triangle whose square is the inverse of a damped covariance, (k, k).

    Of inputs that hardly vary, as those of one frame may, rounding leaves what is no covariance: it is damped more.
    """
    damping = _DAMPING * max(np.diag(covariance).mean(), 0.0) + 1e-9
    while True:
        try:
            return np.linalg.cholesky(np.linalg.inv(covariance + np.eye(len(covariance)) * damping)).T
        except np.linalg.LinAlgError:
            if not damping < np.abs(covariance).sum():
                raise
            damping *= 10


def round_weights(weight: Float, unit: Float, covariance: Double, pair_taps: int = 0) -> NDArray[np.int8]:
    """Return weights as integers, the errors of which the inputs' covariance makes small at the outputs.

    Args:
        weight: float32 (C', k).
        unit: float32 (C',), what an integer is worth.
        covariance: (k, k), of the inputs.
        pair_taps: where two weights have to fit together (`quantise`), how many each channel has, kh * kw.
    """
    # What varies most is rounded first, while there are many weights left to make up for it.
    order = np.argsort(-np.diag(covariance), kind="stable")
    rest = weight[:, order].astype(np.float64)
    upper = _upper(covariance[np.ix_(order, order)])
    rounded = np.zeros(rest.shape, np.int8)
    mates = _mates(order, pair_taps)
    for start in range(0, len(order), _AT_ONCE):
        stop = min(start + _AT_ONCE, len(order))
        errors = np.empty((len(rest), stop - start))
        for k in range(start, stop):
            low, high = _room(rounded[:, mates[k]])
            rounded[:, k] = np.clip(np.rint(rest[:, k] / unit), low, high)
            errors[:, k - start] = (rest[:, k] - rounded[:, k] * unit) / upper[k, k]
            rest[:, k:stop] -= np.outer(errors[:, k - start], upper[k, k:stop])
        rest[:, stop:] -= errors @ upper[start:stop, stop:]
    result = np.empty_like(rounded)
    result[:, order] = rounded
    return result


def _mates(order: NDArray[np.intp], pair_taps: int) -> NDArray[np.intp]:
    """Return for each weight in `order` the place of the one that has to fit with it; its own where there is none."""
    places = np.argsort(order)
    if not pair_taps:
        return places[order]
    channel, tap = np.divmod(order, pair_taps)
    mate = (channel ^ 1) * pair_taps + tap
    return places[np.where(mate < len(order), mate, order)]


def _room(mate: NDArray[np.int8]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return between what a weight may lie beside its mate, which is 0 as long as it has not been rounded."""
    other = mate.astype(np.int16)
    return np.maximum(-127, -PAIR_SUM - other.clip(max=0)), np.minimum(127, PAIR_SUM - other.clip(0))


def _shift(spread: Spread, units: Units) -> Double:
    """Return what rounding and clipping add to the mean of each channel of a map, (C,)."""
    inside = np.clip(spread.kept, units.low, units.high)
    rounding = (restored(quantised(inside, units), units) - inside).mean(axis=0, dtype=np.float64)
    clipping = _Tails(spread).clipped(units.low.astype(np.float64), units.high.astype(np.float64))[0]
    return np.asarray(rounding + clipping)


def corrected(conv: Conv, found: Integers, spread: Spread, moments: Moments) -> Integers:
    """Return a convolution in integers with the bias that makes the mean of each output what it was in floats.

    Args:
        conv: the convolution in floats.
        found: the same in integers; its bias does not count.
        spread: of its input.
        moments: of the patches of its input.
    """
    taps = conv.weight.shape[2] * conv.weight.shape[3]
    exact = in_steps(conv.weight, found.units, depthwise=conv.depthwise).reshape(len(conv.weight), -1)
    coarse = found.weight.reshape(exact.shape) * found.unit.astype(np.float64)[:, None]
    mean = moments.mean() / np.repeat(found.units.scale.astype(np.float64), taps)
    seen = mean + np.repeat(_shift(spread, found.units) / found.units.scale, taps)
    if conv.depthwise:
        mean, seen = mean.reshape(-1, taps), seen.reshape(-1, taps)
    added = (exact * mean - coarse * seen).sum(axis=1)
    return found._replace(bias=np.asarray(conv.bias + added, np.float32))


def rounded(conv: Conv, units: Units, *, paired: bool = False) -> Integers:
    """Return a convolution in integers, each weight rounded by itself and nothing corrected.

    Args:
        conv: the convolution in floats.
        units: of its input.
        paired: see `quantise`.
    """
    weight = in_steps(conv.weight, units, depthwise=conv.depthwise)
    return Integers(units, *weights8(weight, paired=paired), conv.bias)


def integers(conv: Conv, units: Units, spread: Spread, moments: Moments, *, paired: bool = False) -> Integers:
    """Return a convolution in integers, reconstructed.

    Args:
        conv: the convolution in floats.
        units: of its input.
        spread: of its input.
        moments: of the patches of its input.
        paired: see `quantise`.
    """
    first = rounded(conv, units, paired=paired)
    whole, unit = first.weight.reshape(len(conv.weight), -1), first.unit
    exact = in_steps(conv.weight, units, depthwise=conv.depthwise).reshape(whole.shape)
    taps = conv.weight.shape[2] * conv.weight.shape[3]
    scale = np.repeat(units.scale.astype(np.float64), taps)
    for number, block in enumerate(moments.blocks):
        # in steps, to which rounding the map adds white noise of 1/12
        varied = moments.covariance(number) / np.outer(scale[block], scale[block])
        varied += np.eye(len(varied)) / 12
        whole[:, block] = round_weights(exact[:, block], unit, varied, taps if paired else 0)
    return corrected(conv, first._replace(weight=whole.reshape(conv.weight.shape)), spread, moments)
