"""Bjøntegaard figures against published ones, against constructed curves, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nervplay.errors import UnknownNameError, UsageError
from nervplay.metrics.bd import METHODS, bd_psnr, bd_rate, quality_at, rate_at


def curve(rates, qualities):
    return list(zip(rates, qualities, strict=True))


# The example of the reference package (FAU Erlangen-Nuernberg, `bjontegaard` 1.3.0, whose PCHIP is that of the sheet of
# JVET-T2010) and the example of the Python translation of VCEG-M33 that is passed on most; figures by that package.
X265 = (
    curve([9487.76, 4593.60, 2486.44, 1358.24], [40.037, 38.615, 36.845, 34.851]),
    curve([9787.80, 4469.00, 2451.52, 1356.24], [40.121, 38.651, 36.970, 34.987]),
)
M33 = (
    curve([686.76, 309.58, 157.11, 85.95], [40.28, 37.18, 34.24, 31.42]),
    curve([893.34, 407.8, 204.93, 112.75], [40.39, 37.21, 34.17, 31.24]),
)
FIVE = (
    curve([1000, 600, 350, 200, 100], [42.1, 40.0, 37.7, 35.2, 31.9]),
    curve([900, 540, 320, 190, 96], [42.3, 40.4, 38.2, 35.8, 32.6]),
)
PUBLISHED = [
    (X265, "cubic", -4.420462706125383, 0.12040941911451103),
    (X265, "pchip", -4.417485350589045, 0.11969278542479489),
    (X265, "akima", -4.425245156997493, 0.11940927028529469),
    (M33, "cubic", 31.3973740549095, -1.1848979217703506),
    (M33, "pchip", 31.379878202397627, -1.1834724046224592),
    (M33, "akima", 31.38398898434116, -1.183658970073208),
    (FIVE, "cubic", -17.27718087376572, 0.8376104132611576),
    (FIVE, "pchip", -17.34976009353084, 0.8377420350173141),
    (FIVE, "akima", -17.340213270266702, 0.8375693732221565),
]


@pytest.mark.parametrize(("pair", "method", "rate", "psnr"), PUBLISHED)
def test_published_values(pair, method, rate, psnr):
    assert bd_rate(*pair, method) == pytest.approx(rate, abs=1e-8)
    assert bd_psnr(*pair, method) == pytest.approx(psnr, abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_points_does_not_matter(method):
    assert bd_rate(X265[0][::-1], [X265[1][i] for i in (2, 0, 3, 1)], method) == pytest.approx(bd_rate(*X265, method))


@pytest.mark.parametrize("method", METHODS)
@given(factor=st.floats(0.2, 5.0), shift=st.floats(-1.0, 1.0))
def test_a_moved_curve(method, factor, shift):
    anchor = X265[0]
    assert bd_rate(anchor, [(factor * r, q) for r, q in anchor], method) == pytest.approx(100 * (factor - 1), abs=1e-6)
    assert bd_psnr(anchor, [(r, q + shift) for r, q in anchor], method) == pytest.approx(shift, abs=1e-9)


SIX = ([0.0, 1.0, 2.5, 4.0, 5.0, 7.0], [0.0, 1.0, 1.2, 3.0, 2.5, 6.0])


@pytest.mark.parametrize(
    ("method", "slopes"),
    [
        ("pchip", [1.3466666666666667, 0.2479338842975206, 0.24, 0.0, 0.0, 3.25]),
        (
            "akima",
            [
                1.4333333333333333,
                0.6114942528735632,
                0.49350649350649356,
                0.6532663316582914,
                0.4683544303797468,
                2.875,
            ],
        ),
    ],
)
def test_slopes_are_those_of_scipy(method, slopes):
    x, y = map(np.array, SIX)
    drawn, step = METHODS[method](x, y), 1e-6
    at = np.where(x < 7, x + step, x - step)
    found = (drawn(at) - y) / (at - x)
    assert found == pytest.approx(slopes, abs=1e-4)
    assert drawn(x) == pytest.approx(y)


def test_straight_lines_stay_straight():
    x = np.array([0.0, 1.0, 3.0, 4.0])
    for method in METHODS:
        assert METHODS[method](x, 2 * x)(np.array([0.5, 2.0, 3.3])) == pytest.approx([1.0, 4.0, 6.6])
    two = curve([100, 400], [30.0, 36.0])
    assert quality_at(two, 200) == pytest.approx(33.0)
    assert bd_rate(two, curve([50, 200], [30.0, 36.0]), "akima") == pytest.approx(-50.0)


def test_reading_a_curve():
    assert rate_at(X265[0], 36.845) == pytest.approx(2486.44)
    assert quality_at(X265[0], 4593.60) == pytest.approx(38.615)
    assert 1358.24 < rate_at(X265[0], 35.5) < 2486.44
    assert rate_at(X265[0], 34.0) is None
    assert rate_at(X265[0], 41.0) is None
    assert quality_at(X265[0], 1000) is None
    assert quality_at(X265[0], 10000) is None


@pytest.mark.parametrize(
    ("points", "method", "words"),
    [
        (X265[0][:3], "cubic", "at least 4"),
        (X265[0][:1], "pchip", "at least 2"),
        (curve([0, 1], [30, 31]), "pchip", "0 or less"),
        (curve([1, 2], [30, math.inf]), "pchip", "no finite number"),
        (curve([1, 2], [31, 30]), "pchip", "higher quality"),
        (curve([1, 1], [30, 31]), "pchip", "higher quality"),
        (curve([1, 2], [10, 11]), "pchip", "common range of quality"),
    ],
)
def test_refused(points, method, words):
    with pytest.raises(UsageError, match=words):
        bd_rate(X265[0], points, method)


def test_refused_for_want_of_a_common_rate():
    with pytest.raises(UsageError, match="common range of rate"):
        bd_psnr(X265[0], curve([1, 2], [35, 36]))


def test_another_method():
    with pytest.raises(UnknownNameError, match="did you mean pchip"):
        bd_rate(*X265, "pchp")
