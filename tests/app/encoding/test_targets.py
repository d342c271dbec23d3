"""The search for a network: it hits sizes, chooses the better bits, and follows the slope of quality."""

import math

import pytest

from app.encoding.targets import (
    MARGIN,
    Choice,
    Outcome,
    best_for_bytes,
    parameters_for_bytes,
    parameters_for_psnr,
)
from nervplay.errors import UsageError


def bytes_of(choice: Choice) -> int:
    """A file with a head, whose weights take a little less than their bits."""
    return 700 + round(0.93 * choice.parameters * choice.bits / 8)


@pytest.mark.parametrize("bits", [6, 8])
@pytest.mark.parametrize("target", [5_000, 40_000, 3_000_000])
def test_a_size_is_hit(target: int, bits: int) -> None:
    parameters = parameters_for_bytes(target, bits, bytes_of)
    assert bytes_of(Choice(parameters, bits)) == pytest.approx(target, rel=0.01)


def test_a_size_in_coarse_steps_is_found() -> None:
    def coarse(choice: Choice) -> int:
        return bytes_of(Choice(round(choice.parameters, -4), choice.bits))

    assert coarse(Choice(parameters_for_bytes(100_000, 8, coarse), 8)) == pytest.approx(100_000, rel=0.06)


def test_the_short_fits_choose_the_bits() -> None:
    tried: list[Choice] = []

    def trial(choice: Choice) -> Outcome:
        tried.append(choice)
        return Outcome(0, {8: 30.0, 7: 31.0, 6: 29.0}[choice.bits])

    assert best_for_bytes(50_000, bytes_of, trial).bits == 7
    assert [choice.bits for choice in tried] == [8, 7, 6]
    assert all(bytes_of(choice) == pytest.approx(MARGIN * 50_000, rel=0.01) for choice in tried)


def test_bits_without_a_network_are_left_out() -> None:
    def picky(choice: Choice) -> int:
        if choice.bits > 6:
            raise UsageError("too small")
        return bytes_of(choice)

    assert best_for_bytes(9_000, picky, lambda _: Outcome(0, 20.0)).bits == 6
    with pytest.raises(UsageError, match="too small"):
        best_for_bytes(9_000, picky, lambda _: Outcome(0, 20.0), (8, 7))


@pytest.mark.parametrize("target", [24.0, 31.0, 33.5])
def test_a_quality_is_reached(target: float) -> None:
    fits: list[int] = []

    def full(parameters: int) -> float:
        fits.append(parameters)
        return 30 + 2.5 * math.log2(parameters / 100_000)

    found = parameters_for_psnr(target, 50_000, lambda count: full(count) - 3.0 + 0 * fits.pop(), full, rounds=4)
    assert found == fits[-1]
    assert 30 + 2.5 * math.log2(found / 100_000) >= target - 0.05
    assert len(fits) <= 4


def test_a_flat_trial_asks_for_no_absurd_size() -> None:
    fits: list[int] = []
    parameters_for_psnr(60.0, 1000, lambda _: 20.0, lambda count: fits.append(count) or 20.0)
    assert fits == [4000, 16000, 64000]
