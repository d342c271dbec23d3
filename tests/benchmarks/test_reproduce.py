"""Tables of the papers: every row, reduced or full, is a network that there is."""

import argparse
from pathlib import Path

import pytest

from nervplay.models import resolve_preset

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("table", ["snerv-2a", "enerv-1", "lrconv-2", "lrconv-4", "srnerv-1", "pnerv"])
def test_rows_can_be_built(table: str, monkeypatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.reproduce import TABLES, configured

    reduced = argparse.Namespace(full=False, frames=16)
    full = argparse.Namespace(full=True, frames=132)
    for row in TABLES[table]:
        config, recipe = configured(row, reduced, 320, 160)
        assert (config.width, config.height, config.frame_count) == (320, 160, 16)
        assert recipe.batch_size == 1
        size = resolve_preset(row.preset)[1].size or (1280, 720)
        config, recipe = configured(row, full, *size)
        assert (config.width, config.height) == size
        assert recipe.epochs >= 150
