"""The picture cache: what lies ahead is kept, budgets hold, late pictures of a past generation are refused."""

from fractions import Fraction

import numpy as np

from app.core.cache import RING, PictureCache


def picture(value: int = 0) -> np.ndarray:
    return np.full((4, 4, 4), value, np.uint8)


def filled(cache: PictureCache, keys) -> PictureCache:
    for key in keys:
        cache.put(key, picture(int(key)))
    return cache


def test_a_ring_without_budget() -> None:
    cache = PictureCache()
    cache.head(10, 1, 100)
    filled(cache, range(10, 40))
    assert len(cache) == RING
    assert cache.frames() == [10, 11, 12, 13, 14, 15, 16, 39]


def test_backward_keeps_what_lies_before() -> None:
    cache = PictureCache()
    cache.head(50, -1, 100)
    filled(cache, range(60, 30, -1))
    assert 50 in cache
    assert 53 not in cache
    assert 45 in cache


def test_what_is_wanted_is_kept_longest() -> None:
    cache = PictureCache()
    cache.head(10, 1, 100, wanted=[11, 12, 25, 24])
    filled(cache, [24, 25, *range(9, 20)])
    assert cache.frames() == [10, 11, 12, 13, 14, 19, 24, 25]
    cache.head(10, 1, 100, wanted=range(20, 40))
    filled(cache, range(20, 40))
    assert cache.frames() == [*range(20, 27), 39], "the most wanted, and the newest"


def test_a_budget_holds_the_clip() -> None:
    cache = PictureCache(budget=64 * 100)
    filled(cache, range(100))
    assert len(cache) == 100
    assert cache.capacity(64) == 100


def test_the_last_frame_survives_a_step() -> None:
    cache = PictureCache()
    cache.head(10, 1, 100)
    filled(cache, [9, *range(10, 18)])
    assert 9 in cache
    filled(cache, [19, 20])
    assert 9 in cache


def test_keys_between_frames() -> None:
    cache = filled(PictureCache(), [Fraction(3, 2)])
    assert Fraction(3, 2) in cache
    assert cache.get(1) is None
    assert cache.frames() == []
    assert cache.missing([1, Fraction(3, 2), 2]) == [1, 2]


def test_the_past_is_refused() -> None:
    cache = PictureCache()
    begun = cache.generation
    cache.clear()
    cache.put(1, picture(), begun)
    assert 1 not in cache
    cache.put(1, picture(), cache.generation)
    assert cache.get(1) is not None
