"""The table of GELU in the C sources is what its script makes, and it is GELU."""

import runpy
from math import erfc, sqrt
from pathlib import Path

import numpy as np
import pytest

SCRIPT = runpy.run_path(str(Path(__file__).resolve().parents[2] / "tools" / "make_gelu_table.py"))


def test_the_header_is_what_the_script_makes() -> None:
    assert SCRIPT["TARGET"].read_text(encoding="utf-8") == SCRIPT["text"]()


@pytest.mark.parametrize(("name", "error"), [("GELU", 4.6e-7), ("ROUGH", 1.6e-4), ("GELU8", 4.6e-7), ("ROUGH8", 5e-5)])
def test_the_table_is_gelu(name: str, error: float) -> None:
    which = SCRIPT["TABLES"][name]
    table = SCRIPT["table"](which)
    places = np.linspace(0, which.end - 1e-9, 5001)
    piece = np.floor(places / which.width + (0.5 if which.centred else 0)).astype(int)
    t = places / which.width - piece
    value = sum(table[k, piece] * t**k for k in range(which.degree + 1))
    exact = np.array([-a * 0.5 * erfc(a / sqrt(2)) for a in places])
    assert np.abs(value - exact).max() < error
    assert abs(exact[-1]) < 5e-6, "the last piece goes on for ever"
