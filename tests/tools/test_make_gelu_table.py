"""The table of GELU in the C sources is what its script makes, and it is GELU."""

import runpy
from math import erfc, sqrt
from pathlib import Path

import numpy as np
import pytest

SCRIPT = runpy.run_path(str(Path(__file__).resolve().parents[2] / "tools" / "make_gelu_table.py"))


def test_the_header_is_what_the_script_makes() -> None:
    assert SCRIPT["TARGET"].read_text(encoding="utf-8") == SCRIPT["text"]()


@pytest.mark.parametrize(("name", "error"), [("GELU", 4.6e-7), ("ROUGH", 4.1e-6)])
def test_the_table_is_gelu(name: str, error: float) -> None:
    end, pieces = SCRIPT["TABLES"][name]
    table, width = SCRIPT["table"](end, pieces), end / pieces
    places = np.linspace(0, end - 1e-9, 5001)
    piece = (places / width).astype(int)
    t = places / width - piece
    value = sum(table[k, piece] * t**k for k in range(4))
    exact = np.array([-a * 0.5 * erfc(a / sqrt(2)) for a in places])
    assert np.abs(value - exact).max() < error
    assert abs(exact[-1]) < error, "the last piece goes on for ever"
