"""How near to float32 integers must come."""

import math

import numpy as np
import pytest

from nervplay.decode.loss import DEFAULT_DB, LOSS_DB, WORST_LOSS_DB, fitted_db, loss_db, need, retold, told


@pytest.mark.parametrize("video_db", [20.0, 33.765, 40.0, 48.0])
def test_what_is_needed_costs_what_is_allowed(video_db: float) -> None:
    least = need(video_db)
    assert loss_db(video_db, least.mean) == pytest.approx(LOSS_DB)
    assert loss_db(video_db, least.worst) == pytest.approx(WORST_LOSS_DB)
    assert LOSS_DB <= 0.10
    assert WORST_LOSS_DB <= 0.30


def test_the_formula_is_what_independent_errors_do() -> None:
    rng = np.random.default_rng(0)
    own, added = rng.normal(0, 0.02, 1_000_000), rng.normal(0, 0.004, 1_000_000)

    def db(errors: np.ndarray) -> float:
        return float(-10 * np.log10(np.square(errors).mean()))

    assert db(own) - db(own + added) == pytest.approx(loss_db(db(own), db(added)), abs=2e-3)


def test_a_video_that_says_nothing_is_taken_for_a_good_one() -> None:
    assert need(None) == need(DEFAULT_DB)
    assert need(None).mean > need(34.0).mean > 51


def test_what_a_recipe_tells() -> None:
    assert fitted_db({"psnr_db": 33.5}) == 33.5
    assert fitted_db({"psnr_db": 30}) == 30.0
    for recipe in ({}, {"psnr_db": None}, {"psnr_db": True}, {"psnr_db": "34"}, {"psnr_db": -1}, {"psnr_db": 1e9}):
        assert fitted_db(recipe) is None


def test_what_a_recipe_is_told() -> None:
    assert told(33.76512) == {"psnr_db": 33.77}
    assert fitted_db(told(30)) == 30.0
    for value in (float("inf"), float("nan"), -3.0, 0.0):
        assert told(value) == {}


def test_a_recipe_says_one_psnr_or_none() -> None:
    before = {"preset": "a", "psnr_db": 31.0}
    assert retold(before, 33.456) == {"preset": "a", "psnr_db": 33.46}
    for unknown in (None, math.inf, math.nan, -3.0):
        assert retold(before, unknown) == {"preset": "a"}
    assert before["psnr_db"] == 31.0
