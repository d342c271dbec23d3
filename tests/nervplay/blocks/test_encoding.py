import math
from pathlib import Path

import numpy as np
import pytest
import torch

from nervplay.blocks.encoding import block_encoding, check_encoding, interleaved_encoding, normalised_time
from nervplay.errors import UsageError


def test_time_starts_at_0_and_ends_before_1() -> None:
    assert normalised_time(4).tolist() == [0.0, 0.25, 0.5, 0.75]


def test_interleaved_order_and_values() -> None:
    table = interleaved_encoding(np.array([0.25]), 2.0, 2)
    expected = [math.sin(math.pi / 4), math.cos(math.pi / 4), math.sin(math.pi / 2), math.cos(math.pi / 2)]
    assert table.dtype == np.float32
    np.testing.assert_allclose(table[0], expected, atol=1e-6)


def test_block_order_and_values() -> None:
    table = block_encoding(np.array([0.25]), 2.0, 2)
    expected = [math.sin(math.pi / 4), math.sin(math.pi / 2), math.cos(math.pi / 4), math.cos(math.pi / 2)]
    np.testing.assert_allclose(table[0], expected, atol=1e-6)


def test_interleaved_phases_round_as_the_official_code_does() -> None:
    """At 80 levels another order of roundings changes features by more than 1."""
    time = normalised_time(132)
    expected = []
    t = torch.tensor(time, dtype=torch.float32)
    for level in range(80):
        phase = t * 1.25**level * math.pi
        expected += [phase.double().sin(), phase.double().cos()]
    np.testing.assert_array_equal(interleaved_encoding(time, 1.25, 80), torch.stack(expected, 1).float().numpy())
    naive = np.sin(time * 1.25**79 * math.pi)
    assert np.abs(interleaved_encoding(time, 1.25, 80)[:, 158] - naive).max() > 1


def test_interleaved_equals_the_official_features(golden: Path) -> None:
    z = np.load(golden / "nerv_a_90x160_readme_like" / "io.npz")
    table = interleaved_encoding(normalised_time(7), 1.25, 40)[z["frame_index"]]
    np.testing.assert_allclose(table, z["pe"], atol=1e-6, rtol=0)


def test_frequencies_equal_the_official_ones_but_for_one(golden: Path) -> None:
    bases = np.load(golden / "hnerv_boost_a" / "io.npz")["pe_bases_f32"].astype(np.float64)
    time = np.array([0.3])
    expected = np.concatenate([np.sin(time * bases), np.cos(time * bases)])
    different = np.nonzero(block_encoding(time, 1.25, 80)[0] != expected.astype(np.float32))[0]
    assert set(different) <= {45, 125}


@pytest.mark.parametrize("wrong", [(10, 0.0, 4), (10, -1.0, 4), (10, 2.0, 150), (10, 1.25, 201), (10, math.nan, 2)])
def test_phases_beyond_float32_are_refused(wrong: tuple[int, float, int]) -> None:
    with pytest.raises(UsageError, match="float32"):
        check_encoding(*wrong)


def test_tables_beyond_memory_are_refused() -> None:
    check_encoding(10, 1.25, 80)
    with pytest.raises(UsageError, match="256 MiB"):
        check_encoding(10_000_000, 1.25, 80)
