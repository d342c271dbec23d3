import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nervplay.codec.quantise import quantise
from nervplay.errors import UsageError

SMALL = Path(__file__).resolve().parents[2] / "golden" / "quantiser"


def official_case(arrays: dict[str, NDArray[np.float32]], name: str, bits: int) -> None:
    found = quantise(torch.from_numpy(arrays[f"{name}_t"]), bits)
    for part, expected in ((found.codes, "quant"), (found.minimum, "min"), (found.scale, "scale")):
        assert part.dtype == arrays[f"{name}_{expected}"].dtype
        assert part.shape == arrays[f"{name}_{expected}"].shape
        np.testing.assert_array_equal(part, arrays[f"{name}_{expected}"])
    np.testing.assert_array_equal(found.dequantise(), arrays[f"{name}_deq"])


@pytest.mark.parametrize(("name", "bits"), json.loads((SMALL / "bits.json").read_text()).items())
def test_codes_and_maps_are_the_official_ones(name: str, bits: int) -> None:
    official_case(dict(np.load(SMALL / "cases.npz")), name, bits)


@pytest.mark.parametrize("name", [f"q{i}" for i in range(8)])
def test_all_golden_cases(name: str, golden: Path) -> None:
    bits = json.loads((golden / "misc_ops" / "quant_cases.json").read_text())[name]["bits"]
    official_case(dict(np.load(golden / "misc_ops" / "ops.npz")), name, bits)


@pytest.mark.parametrize(
    ("weights", "quantised"),
    [("checkpoint.pth", "quant_vid.pth"), ("checkpoint_pruned10.pth", "quant_vid_pruned10.pth")],
)
def test_a_whole_golden_network(weights: str, quantised: str, golden: Path) -> None:
    tree = torch.load(golden / "hnerv_q" / weights, map_location="cpu", weights_only=False)  # our own golden vectors
    expected = torch.load(golden / "hnerv_q" / quantised, map_location="cpu", weights_only=False)["model"]
    state = tree.get("state_dict", tree)
    assert len(expected) == 12
    for name, parts in expected.items():
        found = quantise(state[name], 8)
        for ours, official in ((found.codes, "quant"), (found.minimum, "min"), (found.scale, "scale")):
            assert ours.dtype == parts[official].numpy().dtype, name
            np.testing.assert_array_equal(ours, parts[official].numpy(), err_msg=name)


def test_an_axis_needs_more_than_50_elements() -> None:
    columns = torch.linspace(-1, 1, 4)[:, None] * torch.tensor([1.0, 50.0, 2000.0])
    for length, maps in ((50, ()), (51, (1, 3))):
        rows = columns[torch.arange(length) % 4] + torch.arange(length)[:, None] * 1e-3
        assert quantise(rows, 8).minimum.shape == maps


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=40), st.integers(1, 16))
@settings(deadline=None)
def test_the_error_is_at_most_half_a_step(values: list[float], bits: int) -> None:
    tensor = torch.tensor(values)
    found = quantise(tensor, bits, scheme="per-tensor")
    assert found.codes.max() <= 2**bits - 1
    assert found.codes.dtype == (np.uint8 if bits <= 8 else np.uint16)
    error = np.abs(found.dequantise() - tensor.numpy()).max()
    assert error <= 0.5 * float(found.scale) + 1e-3
    if len(set(values)) > 1 and float(found.scale) > 1e-30:
        assert found.codes.min() == 0
        assert found.codes.max() == 2**bits - 1


def test_halves_are_rounded_to_even() -> None:
    found = quantise(torch.tensor([0.0, 0.5, 1.5, 2.5, 255.0]), 8, scheme="per-tensor")
    assert found.codes.tolist() == [0, 0, 2, 2, 255]


@pytest.mark.parametrize("scheme", ["best-axis", "per-tensor", "per-tensor-float16"])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (70, 2)])
def test_a_constant_tensor_comes_back_exactly(shape: tuple[int, ...], scheme: str) -> None:
    value = torch.full(shape, 0.1234567)
    found = quantise(value, 6, scheme=scheme)
    assert found.scale == 0
    assert not found.codes.any()
    assert found.shape == shape
    np.testing.assert_array_equal(found.dequantise(), value.numpy())


def test_a_constant_slice_does_no_harm() -> None:
    torch.manual_seed(0)
    tensor = torch.randn(80, 3) * torch.tensor([1.0, 0.0, 1000.0]) + torch.tensor([0.0, 0.3, 0.0])
    found = quantise(tensor, 8)
    assert found.minimum.shape == (1, 3)
    error = np.abs(found.dequantise() - tensor.numpy()).max(0)
    assert error[1] < 2e-4
    assert error[0] < 0.05


def test_maps_beyond_float16_are_not_chosen() -> None:
    torch.manual_seed(0)
    large = torch.randn(80, 2) * torch.tensor([1.0, 1e6])
    assert quantise(large, 8).minimum.dtype == np.float32
    assert quantise(torch.randn(80, 2) * 1e-9, 8).minimum.dtype == np.float32
    with pytest.raises(UsageError, match="leave float16; quantise them with scheme 'per-tensor'"):
        quantise(large, 8, scheme="per-tensor-float16")


def test_one_float16_map() -> None:
    torch.manual_seed(0)
    tensor = torch.randn(200)
    found = quantise(tensor, 8, scheme="per-tensor-float16")
    assert found.minimum.dtype == found.scale.dtype == np.float16
    assert np.abs(found.dequantise() - tensor.numpy()).max() < 0.02


@pytest.mark.parametrize("bits", [0, 17])
def test_bits_are_bounded(bits: int) -> None:
    with pytest.raises(UsageError, match="1 to 16"):
        quantise(torch.zeros(2), bits)


@pytest.mark.parametrize("tensor", [torch.zeros(0), torch.tensor([1.0, torch.nan]), torch.tensor([torch.inf])])
def test_what_has_no_code_is_refused(tensor: torch.Tensor) -> None:
    with pytest.raises(UsageError, match="empty or has values that are not finite"):
        quantise(tensor, 8)


def test_the_tensor_stays_as_it_is() -> None:
    tensor = torch.randn(60, 2, requires_grad=True)
    before = tensor.detach().clone()
    quantise(tensor, 4)
    assert torch.equal(tensor, before)


def test_a_map_per_row_holds_two_opposite_values_in_one_bit() -> None:
    rows = torch.tensor([[0.1, -0.1, 0.1], [3e38, 3e38, 3e38], [-7e-5, 7e-5, -7e-5], [0.0, 0.0, 0.0]])[:, :, None]
    found = quantise(rows, 1, scheme="per-row")
    assert found.minimum.shape == found.scale.shape == (4, 1, 1)
    assert found.minimum.dtype == found.scale.dtype == np.float32
    np.testing.assert_array_equal(found.dequantise(), rows)
    assert found.codes[0, :, 0].tolist() == [1, 0, 1]


def test_a_map_per_row_that_leaves_float32_is_refused() -> None:
    with pytest.raises(UsageError, match="leave float32"):
        quantise(torch.tensor([[-3e38, 3e38]]), 1, scheme="per-row")
