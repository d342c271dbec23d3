"""Kernels told by their neighbours: what comes back, what is saved, what is refused, and that memory is bounded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nervplay.bitstream.kernels import foretell, is_kernel, undo, undo_steps, zero_points
from nervplay.bitstream.packing import ByteCursor
from nervplay.bitstream.segment import decode_segment, encode_segment
from nervplay.bitstream.tensor_code import CodedTensor, CodeReader, RowBudget, decode_tensor, encode_tensor
from nervplay.errors import BitstreamError, VersionError


def smooth(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> np.ndarray:
    """Weights of kernels that vary slowly along rows and columns."""
    return np.cumsum(np.cumsum(rng.normal(0, 1, shape), axis=2), axis=3)


def quantised(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes of 8 bits, minimum and scale, with a map for every input and tap as the HNeRV scripts make them."""
    minimum = values.min(axis=0, keepdims=True)
    scale = ((values.max(axis=0, keepdims=True) - minimum) / 255).astype(np.float16)
    codes = np.clip(np.rint((values - minimum) / scale), 0, 255).astype(np.uint8)
    return codes, minimum.astype(np.float16), scale


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 16),
    st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 16), st.integers(1, 6)),
    st.integers(0, 2**32 - 1),
)
def test_whatever_is_foretold_the_codes_come_back(bits: int, shape: tuple[int, int, int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 1 << bits, shape).astype(np.uint16)
    zero = rng.integers(0, 1 << bits, (1, shape[1], 1, shape[3])).astype(np.int32)
    weights = rng.integers(-128, 128, 6).astype(np.int32)
    told = foretell(codes, zero, weights, bits)
    assert int(told.max()) < 1 << bits
    assert np.array_equal(undo((codes - told) & ((1 << bits) - 1), zero, weights, bits), codes)


def test_what_is_foretold_is_the_formula() -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 256, (2, 3, 4, 5))
    zero = rng.integers(0, 256, (2, 1, 4, 5)).astype(np.int32)
    weights = np.array([70, 60, -50, 12, -9, -128], np.int32)
    rest = codes - zero
    told = foretell(codes, zero, weights, 8)
    for o, i, y, x in np.ndindex(codes.shape):
        places = ((y, x - 1), (y - 1, x), (y - 1, x - 1), (y - 1, x + 1), (y, x - 2), (y - 2, x))
        inside = [rest[o, i, r, c] if r >= 0 and 0 <= c < 5 else 0 for r, c in places]
        total = sum(int(w) * int(v) for w, v in zip(weights, inside, strict=True))
        assert told[o, i, y, x] == min(max(zero[o, 0, y, x] + (total + 32 >> 6), 0), 255)


def test_smooth_kernels_are_coded_so() -> None:
    codes, minimum, scale = quantised(smooth(np.random.default_rng(2), (96, 16, 5, 5)))
    zero = zero_points(minimum, scale, 8)
    found, plain = encode_tensor(codes, 8, zero), encode_tensor(codes, 8)
    assert found.model.startswith("kernel-")
    assert found.size < 0.9 * plain.size
    blob, models = encode_segment([(codes, 8, zero)])
    table = [CodedTensor(codes.shape, 8, models[0], zero)]
    assert np.array_equal(decode_segment(blob, table, "seg.0000", RowBudget())[0], codes.ravel())


def test_rough_kernels_are_not() -> None:
    codes, minimum, scale = quantised(np.random.default_rng(3).normal(0, 1, (96, 16, 5, 5)))
    parts = encode_tensor(codes, 8, zero_points(minimum, scale, 8))
    assert (parts.model, parts.size) == encode_tensor(codes, 8)[::4]


def test_many_kernels_are_taken_in_blocks() -> None:
    rng = np.random.default_rng(4)
    shape = (800, 300, 3, 3)
    codes = rng.integers(0, 256, shape).astype(np.uint8)
    zero, weights = np.full((), 128, np.int32), np.array([20, 20, -5, 3, 1, 1], np.int32)
    told = foretell(codes, zero, weights, 8)
    assert np.array_equal(told[700:], foretell(codes[700:], zero, weights, 8))
    assert np.array_equal(undo(codes - told & 255, zero, weights, 8), codes)
    assert undo_steps(shape) == 27


def test_zero_points_of_any_map() -> None:
    odd = np.array([0, 0, -1, 1, np.inf, -np.inf, np.nan, -12.4, -12.6, -9e3], np.float32)
    scale = np.array([0, 1, 0, 0, 1, 1, 1, 0.1, 0.1, 0.1], np.float32)
    assert zero_points(odd, scale, 8).tolist() == [128, 0, 255, 0, 0, 255, 128, 124, 126, 255]


@pytest.mark.parametrize(
    ("shape", "fits"),
    [((2, 2, 3, 3), True), ((2, 2, 1, 2), True), ((2, 2, 1, 1), False), ((2, 3, 3), False), ((2, 2, 17, 3), False),
     ((2, 4096, 16, 16), True), ((2, 4097, 3, 3), False)],
)  # fmt: skip
def test_what_is_a_kernel(shape: tuple[int, ...], fits: bool) -> None:
    assert is_kernel(shape) is fits


@pytest.mark.parametrize("shape", [(600,), (3, 200), (2, 300, 1, 1), (1, 1, 20, 30)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    reader = CodeReader(ByteCursor(b"", "raw"), None, 1, RowBudget())  # type: ignore[arg-type]  # not reached
    tensor = CodedTensor(shape, 8, "kernel-uniform", np.zeros((), np.int32))
    with pytest.raises(BitstreamError, match="are coded as kernels"):
        decode_tensor(tensor, ByteCursor(bytes(9), "side"), reader)


def test_steps_are_bounded() -> None:
    budget = RowBudget()
    budget.spend(262_144 - 8)
    reader = CodeReader(ByteCursor(b"", "raw"), None, 1, budget)  # type: ignore[arg-type]  # not reached
    with pytest.raises(BitstreamError, match="decoding steps"):
        decode_tensor(
            CodedTensor((1, 1, 3, 3), 8, "kernel-uniform", np.zeros((), np.int32)), ByteCursor(bytes(9), "side"), reader
        )


def test_unknown_models_of_what_is_left_are_of_a_newer_version() -> None:
    reader = CodeReader(ByteCursor(b"", "raw"), None, 1, RowBudget())  # type: ignore[arg-type]  # not reached
    tensor = CodedTensor((1, 1, 3, 3), 8, "kernel-runs", np.zeros((), np.int32))
    with pytest.raises(VersionError, match="made by a newer nervplay"):
        decode_tensor(tensor, ByteCursor(bytes(9), "side"), reader)
