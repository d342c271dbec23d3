"""NeRV's and HiNeRV's quantisers against what the official code computed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nervplay.codec.official_quantisers import hinerv_axis, hinerv_quantise, nerv_quantise


def hinerv_cases() -> list[tuple[str, int]]:
    names = ["lin_20x64", "lin_64x20", "lin_18x20", "dw_48", "dw_12", "conv_48_6", "grid_8_100", "grid_600_25"]
    return [(name, bits) for name in names for bits in (6, 8)]


@pytest.mark.parametrize(("name", "bits"), hinerv_cases())
def test_golden_hinerv(golden: Path, name: str, bits: int) -> None:
    case = np.load(golden / "train_steps" / "quantiser.npz")
    weight = case[f"{name}|{bits}|w"]
    axis = int(case[f"{name}|{bits}|axis"])
    assert hinerv_axis(weight.shape) == (None if axis == -1 else axis)
    found = hinerv_quantise(torch.from_numpy(weight), bits)
    assert np.array_equal(found.codes.astype(int) - 2 ** (bits - 1), case[f"{name}|{bits}|int"])
    assert found.scale.dtype == np.float16
    assert np.array_equal(found.scale, case[f"{name}|{bits}|scale_f16"])
    integers = found.codes.astype(np.float32) - 2 ** (bits - 1)
    assert np.array_equal(found.dequantise(), found.scale.astype(np.float32) * integers), "the minimum is exact"


@pytest.mark.parametrize(("folder", "file", "bits", "axis"), [
    ("nerv_a_90x160_readme_like", "quant8_axis0", 8, 0),
    ("nerv_a_90x160_readme_like", "quant8_axis1", 8, 1),
    ("nerv_a_90x160_readme_like", "quant8_axis-1", 8, -1),
    ("nerv_a_90x160_readme_like", "quant6_axis0", 6, 0),
    ("enerv_a_90x160", "quant8", 8, 0),
    ("enerv_a_90x160", "quant6", 6, 0),
])  # fmt: skip
def test_golden_nerv(golden: Path, folder: str, file: str, bits: int, axis: int) -> None:
    case = np.load(golden / folder / f"{file}.npz")
    tree = torch.load(golden / folder / "checkpoint.pth", map_location="cpu", weights_only=False)  # our own vectors
    state = tree.get("state_dict", tree.get("model"))
    compared = 0
    for name, tensor in state.items():
        if f"code/{name}" not in case.files and f"dequant/{name}" not in case.files:
            continue
        own = axis if tensor.ndim in (2, 4) and "bias" not in name else -1
        found = nerv_quantise(tensor, bits, own)
        if f"code/{name}" in case.files:
            assert np.array_equal(found.codes, case[f"code/{name}"]), name
        if f"dequant/{name}" in case.files:
            assert np.array_equal(found.values, case[f"dequant/{name}"]), name
        compared += 1
    assert compared >= 4


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_golden_nerv_edge_cases(golden: Path, axis: int) -> None:
    """Pruned rows, rows of one value, rows of one sign: codes beyond the range and all."""
    cases = json.loads((golden / "misc_losses_metrics_schedules" / "expected.json").read_text())["quant_edge"]
    expected = cases[f"nerv 4bit axis{axis}"]
    found = nerv_quantise(torch.tensor(cases["input"]), 4, axis)
    np.testing.assert_array_equal(found.codes, np.array(expected["code"], np.float32))
    np.testing.assert_array_equal(found.values, np.array(expected["deq"], np.float32))
