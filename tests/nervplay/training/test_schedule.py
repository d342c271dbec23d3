"""Learning rates equal the official code's, step by step; names that do not parse say how to write them."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nervplay.errors import UnknownNameError, UsageError
from nervplay.training import parse_schedule
from nervplay.training.schedule import Position

RUNS = [
    ("nerv cosine epochs=10 warmup_epochs=2 N=7 batch=1", "nerv_0.2", 5e-4, 7, 7),
    ("nerv cosine epochs=10 warmup_epochs=0 N=7 batch=2", "nerv_0", 5e-4, 3, 7),
    ("enerv warmup_cosine epochs=10 lr_point=.2 N=7", "cosine_0.2_1_0.1", 5e-4, 7, 7),
    ("hnerv cosine_0.1_1_0.1 epochs=10 iters=4", "cosine_0.1_1_0.1", 1e-3, 4, 8),
    ("hnerv hybrid_0.1_1_2_0.1_0.01 epochs=10 iters=4", "hybrid_0.1_1_2_0.1_0.01", 1e-3, 4, 8),
]

NEWER = ["nervconst_0.3", "nervstep_0.2_1_3", "hinerv_0.1_0.01_0.01", "hinerv_0_1_0"]


@pytest.mark.parametrize("run", RUNS)
def test_equals_the_official_rates(official: dict[str, Any], run: tuple[str, str, float, int, int]) -> None:
    table, name, rate, steps, frames = run
    factor = parse_schedule(name)
    rates = [[rate * factor(Position(epoch, 10, step, steps, frames)) for step in range(steps)] for epoch in range(10)]
    for ours, theirs in zip(rates, official["schedules"][table], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-18)


@pytest.mark.parametrize(
    ("part", "name", "rate", "epochs"),
    [
        ("main", "hinerv_0.333_0.01_0.01", 2e-3, 3),
        ("prune", "hinerv_0_1_0.01", 2e-3, 2),
        ("quant", "hinerv_0_1_0.01", 2e-4, 2),
    ],
)
def test_equals_hinerv_s_rates(golden: Path, part: str, name: str, rate: float, epochs: int) -> None:
    """One update behind, and not restarted behind the warm-up."""
    factor = parse_schedule(name)
    rates = [rate * factor(Position(i // 10, epochs, i % 10, 10, 60)) for i in range(10 * epochs)]
    with np.load(golden / "train_steps" / "io.npz") as io:
        np.testing.assert_allclose(rates, io[f"lr_{part}"], rtol=1e-12)


@pytest.mark.parametrize("name", ["cosine_0.1_1_0.1", "cosine_0.2_1_0.1", "cosine_0_1_0.1", "hybrid_0.1_1_2_0.1_0.05"])
def test_equals_the_second_set_of_official_rates(golden: Path, name: str) -> None:
    table = json.loads((golden / "misc_ops" / "lr_schedule.json").read_text())[name]
    factor = parse_schedule(name)
    for i, (share, rate) in enumerate(table):
        position = Position(i // 4, 10, i % 4, 4, 8)
        assert share == pytest.approx(i / 40)
        assert 1e-3 * factor(position) == pytest.approx(rate, rel=1e-12, abs=1e-18)


def test_powers_bend_the_rise_and_the_fall() -> None:
    assert parse_schedule("cosine_0.5_2_0.2")(Position(1, 4, 0, 4, 4)) == pytest.approx(0.2 + 0.8 * 0.25)
    assert parse_schedule("hybrid_0.5_1_3_0.2_0.1")(Position(3, 4, 0, 4, 4)) == pytest.approx(1 - 0.9 * 0.125)


def test_nerv_s_other_falls_have_its_rise() -> None:
    names = ("nerv_0.2", "nervconst_0.2", "nervstep_0.2_5_8")
    rises = [[parse_schedule(name)(Position(i // 7, 10, i % 7, 7, 7)) for i in range(14)] for name in names]
    assert rises[0] == rises[1] == rises[2]
    falls = [[parse_schedule(name)(Position(epoch, 10, 0, 7, 7)) for epoch in range(2, 10)] for name in names[1:]]
    assert falls[0] == [1.0] * 8
    assert falls[1] == pytest.approx([1.0] * 3 + [0.1] * 3 + [0.01] * 2)
    assert parse_schedule("nervstep_0_4.5")(Position(4, 10, 4, 7, 7)) == pytest.approx(0.1), "inside an epoch, too"


def test_nerv_rounds_its_warm_up_down_to_whole_epochs() -> None:
    factor = parse_schedule("nerv_0.2")
    assert factor(Position(0, 9, 0, 5, 5)) == pytest.approx(0.1), "int(1.8) = 1 epoch of warm-up"
    assert factor(Position(1, 9, 0, 5, 5)) == 1.0


def test_const_never_changes() -> None:
    assert {parse_schedule("const")(Position(e, 3, s, 2, 4)) for e in range(3) for s in range(2)} == {1.0}


@settings(deadline=None)
@given(
    st.sampled_from(
        ["const", "cosine_0.1_1_0.1", "cosine_0_1_0.1", "hybrid_0.3_2_0.5_0_1", "nerv_0.2", "nerv_0", *NEWER]
    ),
    st.integers(1, 50),
    st.integers(1, 20),
    st.data(),
)
def test_factors_lie_between_0_and_1(name: str, epochs: int, steps: int, data: st.DataObject) -> None:
    position = Position(
        data.draw(st.integers(0, epochs - 1)), epochs, data.draw(st.integers(0, steps - 1)), steps, steps
    )
    assert -1e-12 <= parse_schedule(name)(position) <= 1.0 + 1e-12
    assert math.isfinite(parse_schedule(name)(position))


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("cosine", "cosine_U_P_M"),
        ("cosine_0.1_1", "cosine_U_P_M"),
        ("cosine_0.1_1_0.1_5", "cosine_U_P_M"),
        ("cosine_0.1_x_0.1", "cosine_U_P_M"),
        ("cosine_1_1_0.1", "must be under 1"),
        ("hybrid_0.1_1_2_0.1_-1", "hybrid_U_P_Q_M_F"),
        ("nerv_nan", "nerv_W"),
        ("nervstep_0.2", "nervstep_W_E..."),
        ("nervconst_0.2_5", "nervconst_W"),
        ("hinerv_1_0_0", "must be under 1"),
        ("nerv_inf", "nerv_W"),
        ("const_1", "write it as const"),
    ],
)
def test_names_that_do_not_parse_say_how_to_write_them(name: str, way_out: str) -> None:
    with pytest.raises(UsageError, match=re.escape(way_out)):
        parse_schedule(name)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"schedule 'cosin'.*cosine"):
        parse_schedule("cosin_0.1_1_0.1")
