"""The figures of the benchmark of fitting: means over seeds, differences of pairs and their standard error."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

OPTIONS = Namespace(device="cpu", threads=1, epochs=3, frames=9, batch=2)


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2])
    from benchmarks import fit

    return fit


def run(fit: Any, plain: float, fast: float) -> dict[str, Any]:
    return {"plain": fit.Fitted(plain, fit.Timing(8.0, 6.0)), "fast": fit.Fitted(fast, fit.Timing(5.0, 2.0))}


def test_one_seed(fit: Any) -> None:
    plain, fast = fit.table("tiny", [run(fit, 20.0, 20.5)], OPTIONS)
    assert len(plain) == len(fit.COLUMNS)
    assert fast == ("tiny", "fast", 2, 12, "20.500", "5.0", "2.0", "3.00")


def test_several_seeds(fit: Any) -> None:
    runs = [run(fit, *pair) for pair in ((20.0, 20.1), (21.0, 20.8), (19.0, 19.4))]
    plain, fast = fit.table("tiny", runs, OPTIONS)
    assert len(fast) == len(fit.COLUMNS + fit.SEED_COLUMNS)
    # differences 0.1, -0.2, 0.4: mean 0.1, deviation 0.3, of which the error is 1/sqrt(3)
    assert fast[4:] == ("20.100", "5.0", "2.0", "3.00", "+0.100", "0.173", "+0.100 -0.200 +0.400")
    assert plain[-3:] == ("+0.000", "0.000", "+0.000 +0.000 +0.000")


@pytest.mark.parametrize("changed", [{"device": "cuda"}, {"threads": 2}])
def test_what_waits_is_measured_by_wall_time(fit: Any, changed: dict[str, Any]) -> None:
    _, fast = fit.table("tiny", [run(fit, 20.0, 20.5)], Namespace(**vars(OPTIONS) | changed))
    assert fast[-1] == "1.60"
