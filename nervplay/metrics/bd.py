"""Bjøntegaard's average difference of two rate-quality curves: BD-rate in per cent, BD-PSNR in dB.

G. Bjøntegaard, "Calculation of average PSNR differences between RD-curves", ITU-T VCEG-M33, 2001: the area between the
two curves over the range that both cover, divided by that range, with the logarithm of the rate on one axis. Curves
between the points, by name:

  * "cubic": one polynomial of degree 3 by least squares (VCEG-M33; through the points where there are four);
  * "pchip": piecewise cubic Hermite with the slopes of Fritsch and Butland (1984), never beyond its points, as in the
    common test conditions of HEVC and VVC (JCTVC-L1100, JVET-T2010);
  * "akima": piecewise cubic with the slopes of H. Akima (J. ACM 17, 1970), found nearest to measured curves by Herglotz
    et al., "The Bjøntegaard Bible", 2023 (arXiv 2304.12852).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nervplay.errors import UnknownNameError, UsageError

__all__ = ["METHODS", "RatePoint", "bd_psnr", "bd_rate", "quality_at", "rate_at"]

RatePoint = tuple[float, float]
"""One encode: (rate, quality). Any unit of rate will do, if both curves have the same; quality rises with the rate."""

Array = NDArray[np.float64]


def bd_rate(anchor: Sequence[RatePoint], test: Sequence[RatePoint], method: str = "pchip") -> float:
    """Return by how much the rate of `test` differs from that of `anchor` at equal quality, in per cent.

    Args:
        anchor: points of the curve to compare with, at least 2 (4 for "cubic"), in any order.
        test: points of the other curve.
        method: a key of `METHODS`.

    Returns:
        Per cent; -20 means a fifth less rate for the same quality.

    Raises:
        UnknownNameError: another method.
        UsageError: too few points, a rate that is not positive, a quality that is not finite or does not rise with the
            rate, or curves without a common range of quality.
    """
    a, b = _Curve.of(anchor, method), _Curve.of(test, method)
    difference = _mean_difference((a.quality, a.log_rate), (b.quality, b.log_rate), method, "quality")
    return 100.0 * float(np.expm1(difference))


def bd_psnr(anchor: Sequence[RatePoint], test: Sequence[RatePoint], method: str = "pchip") -> float:
    """Return by how much the quality of `test` differs from that of `anchor` at equal rate, in the unit of quality.

    Args:
        anchor: as in `bd_rate`.
        test: as in `bd_rate`.
        method: a key of `METHODS`.

    Returns:
        dB for PSNR; positive means better.

    Raises:
        UnknownNameError, UsageError: as in `bd_rate`; the common range is one of rates.
    """
    a, b = _Curve.of(anchor, method), _Curve.of(test, method)
    return _mean_difference((a.log_rate, a.quality), (b.log_rate, b.quality), method, "rate")


def rate_at(points: Sequence[RatePoint], quality: float) -> float | None:
    """Return the rate at which a curve reaches a quality, by "pchip"; None outside the points."""
    curve = _Curve.of(points, "pchip")
    if not curve.quality[0] <= quality <= curve.quality[-1]:
        return None
    return float(np.exp(_pchip(curve.quality, curve.log_rate)(np.array([quality]))[0]))


def quality_at(points: Sequence[RatePoint], rate: float) -> float | None:
    """Return the quality of a curve at a rate, by "pchip"; None outside the points."""
    curve = _Curve.of(points, "pchip")
    log_rate = float(np.log(rate))
    if not curve.log_rate[0] <= log_rate <= curve.log_rate[-1]:
        return None
    return float(_pchip(curve.log_rate, curve.quality)(np.array([log_rate]))[0])


@dataclass(frozen=True, eq=False)
class _Curve:
    """Points in rising order, float64 (N,) each."""

    log_rate: Array
    quality: Array

    @classmethod
    def of(cls, points: Sequence[RatePoint], method: str) -> "_Curve":
        if method not in METHODS:
            raise UnknownNameError("interpolation", method, METHODS)
        fewest = 4 if method == "cubic" else 2
        if len(points) < fewest:
            raise UsageError(f"a curve of {len(points)} points; '{method}' needs at least {fewest}: measure more rates")
        rates, quality = np.array(sorted(points), dtype=np.float64).T
        if rates[0] <= 0 or not np.isfinite(quality).all():
            raise UsageError(f"points {sorted(points)} hold a rate of 0 or less, or a quality that is no finite number")
        if (np.diff(rates) <= 0).any() or (np.diff(quality) <= 0).any():
            raise UsageError(f"points {sorted(points)} are no curve; each higher rate must have a higher quality")
        return cls(np.log(rates), quality)


def _mean_difference(anchor: tuple[Array, Array], test: tuple[Array, Array], method: str, what: str) -> float:
    """Return the mean of y of `test` less y of `anchor`, (x, y) each, over the x that both cover."""
    low, high = max(anchor[0][0], test[0][0]), min(anchor[0][-1], test[0][-1])
    if low >= high:
        raise UsageError(f"the two curves have no common range of {what}; measure rates that bring them together")
    of_anchor, of_test = (_area(METHODS[method](x, y), x, low, high) for x, y in (anchor, test))
    return (of_test - of_anchor) / float(high - low)


def _area(curve: Callable[[Array], Array], knots: Array, low: float, high: float) -> float:
    """Return the integral of a piecewise cubic by Simpson's rule, which is exact for each piece."""
    edges = np.concatenate(([low], knots[(knots > low) & (knots < high)], [high]))
    left, right = edges[:-1], edges[1:]
    values = curve(left) + 4.0 * curve((left + right) / 2.0) + curve(right)
    return float(np.sum((right - left) * values) / 6.0)


def _polynomial(x: Array, y: Array) -> Callable[[Array], Array]:
    """Return the polynomial of degree 3 nearest to the points."""
    centre = x.mean()  # far from 0 the powers of x lose digits
    coefficients = np.polyfit(x - centre, y, 3)
    return lambda at: np.asarray(np.polyval(coefficients, at - centre), dtype=np.float64)


def _pchip(x: Array, y: Array) -> Callable[[Array], Array]:
    """Return the Hermite curve with the slopes of Fritsch and Butland: weighted harmonic means of the neighbours."""
    h, d = np.diff(x), np.diff(y) / np.diff(x)
    if len(x) == 2:
        return _hermite(x, y, np.repeat(d, 2))
    w_left, w_right = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    inner = np.zeros(len(x) - 2)
    rising = d[:-1] * d[1:] > 0
    inner[rising] = ((w_left + w_right)[rising]) / ((w_left / d[:-1] + w_right / d[1:])[rising])
    first = _pchip_end(h[0], h[1], d[0], d[1])
    last = _pchip_end(h[-1], h[-2], d[-1], d[-2])
    return _hermite(x, y, np.concatenate(([first], inner, [last])))


def _pchip_end(h0: float, h1: float, d0: float, d1: float) -> float:
    """Return the slope at an end: of the parabola through three points, kept from overshooting."""
    slope = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1)
    if slope * d0 <= 0:
        return 0.0
    return 3 * d0 if d0 * d1 < 0 and abs(slope) > abs(3 * d0) else slope


def _akima(x: Array, y: Array) -> Callable[[Array], Array]:
    """Return the Hermite curve with Akima's slopes; the ends are continued by his rule, as parabolas."""
    d = np.diff(y) / np.diff(x)
    if len(x) == 2:
        return _hermite(x, y, np.repeat(d, 2))
    d = np.concatenate(([3 * d[0] - 2 * d[1], 2 * d[0] - d[1]], d, [2 * d[-1] - d[-2], 3 * d[-1] - 2 * d[-2]]))
    turn = np.abs(np.diff(d))
    right, left = turn[2:], turn[:-2]
    total = right + left
    bent = total > 1e-9 * total.max(initial=0.0)
    slopes = (d[1:-2] + d[2:-1]) / 2  # of straight runs, where the weights would be 0 / 0
    slopes[bent] = (right[bent] * d[1:-2][bent] + left[bent] * d[2:-1][bent]) / total[bent]
    return _hermite(x, y, slopes)


def _hermite(x: Array, y: Array, slopes: Array) -> Callable[[Array], Array]:
    """Return the piecewise cubic through points with given slopes."""

    def curve(at: Array) -> Array:
        piece = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
        h = x[piece + 1] - x[piece]
        t = (at - x[piece]) / h
        blend = y[piece] * (1 + 2 * t) * (1 - t) ** 2 + y[piece + 1] * t**2 * (3 - 2 * t)
        lean: Array = blend + h * (slopes[piece] * t * (1 - t) ** 2 - slopes[piece + 1] * t**2 * (1 - t))
        return lean

    return curve


METHODS: dict[str, Callable[[Array, Array], Callable[[Array], Array]]] = {
    "cubic": _polynomial,
    "pchip": _pchip,
    "akima": _akima,
}
"""Ways to draw the curve between the points, by name; each takes rising x and y, float64 (N,)."""
