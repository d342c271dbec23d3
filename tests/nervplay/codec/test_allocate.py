"""Mixed precision: against brute force, and never over the budget."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nervplay.codec.allocate import Choice, Hull

NOTHING = np.zeros(1, np.float32)
offers = st.dictionaries(
    st.sampled_from("abcd"),
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 1000)), min_size=1, max_size=5),
    min_size=1,
)


def choices_of(plain: dict[str, list[tuple[int, int]]]) -> dict[str, list[Choice]]:
    return {name: [Choice(NOTHING, size, error / 8, "") for size, error in offered] for name, offered in plain.items()}


def totals(taken: dict[str, Choice]) -> tuple[int, float]:
    return sum(c.size for c in taken.values()), sum(c.error for c in taken.values())


@settings(max_examples=200, deadline=None)
@given(offers, st.integers(1, 250))
def test_within_a_budget(plain: dict[str, list[tuple[int, int]]], budget: int) -> None:
    choices = choices_of(plain)
    combinations = [totals(dict(zip(choices, c, strict=True))) for c in itertools.product(*choices.values())]
    possible = [(size, error) for size, error in combinations if size <= budget]
    taken = Hull(choices).within(budget)
    if taken is None:
        assert not possible
        return
    size, error = totals(taken)
    assert size <= budget
    hull = Hull(choices)
    on_hull = [totals(hull.take(n)) for n in range(hull.steps + 1)]
    assert error <= min(e for s, e in on_hull if s <= budget), "what is left of the budget makes it no worse"
    assert error >= min(e for _, e in possible)


@settings(max_examples=100, deadline=None)
@given(offers, st.integers(0, 400))
def test_steps_are_the_best_at_some_price(plain: dict[str, list[tuple[int, int]]], eighth: int) -> None:
    """For any price per byte one of the combinations is best: the definition of the convex hull."""
    choices = choices_of(plain)
    hull = Hull(choices)
    price = eighth / 80 + 0.003
    best = sum(min(c.error + price * c.size for c in offered) for offered in choices.values())
    costs = [error + price * size for size, error in (totals(hull.take(n)) for n in range(hull.steps + 1))]
    assert abs(min(costs) - best) < 1e-6


def test_from_the_least_error_to_the_smallest_size() -> None:
    choices = choices_of({"a": [(10, 0), (5, 8), (1, 100)], "b": [(20, 0), (19, 80), (2, 90)]})
    hull = Hull(choices)
    path = [totals(hull.take(n)) for n in range(hull.steps + 1)]
    assert path == [(30, 0.0), (25, 1.0), (7, 12.25), (3, 23.75)]
    assert hull.size(2) == 7
    assert hull.within(2) is None
