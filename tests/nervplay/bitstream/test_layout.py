"""Arithmetic of weights and their hash, on literals."""

import hashlib
import struct

import numpy as np
import pytest

from nervplay.bitstream import QuantisedTensor, Segment, weights_sha256


def test_dequantise_multiplies_then_adds_in_float32() -> None:
    minimum, scale = np.array([[-0.1], [3.0]], np.float32), np.array([[0.3], [1e-7]], np.float32)
    tensor = QuantisedTensor(codes=np.array([[0, 255], [1, 7]], np.uint8), bits=8, minimum=minimum, scale=scale)
    for row, col in np.ndindex(2, 2):
        product = np.float32(scale[row, 0] * np.float32(tensor.codes[row, col]))
        assert tensor.dequantise()[row, col] == np.float32(minimum[row, 0] + product)
    assert tensor.dequantise().dtype == np.float32


def test_hash_counts_names_shapes_kinds_codes_and_maps() -> None:
    codes = QuantisedTensor(codes=np.array([[1, 2]], np.uint8), bits=4, minimum=np.float16(0.5), scale=np.float16(2))
    floats = np.array([1.5], np.float32)
    expected = hashlib.sha256(
        b"a [1, 2] codes\n" + struct.pack("<HHff", 1, 2, 0.5, 2) + b"b [1] float32\n" + struct.pack("<f", 1.5)
    ).hexdigest()
    assert weights_sha256((Segment(first_frame=0, frame_count=1, tensors={"a": codes, "b": floats}),)) == expected


@pytest.mark.parametrize(
    ("minimum", "scale", "finite"),
    [
        (0, 1.334e36, True),
        (0, 1.337e36, False),
        (-3.4e38, 0, True),
        (np.nan, 0, False),
        (0, np.inf, False),
        (3.4e38, -1e35, False),
    ],
)
def test_is_finite(minimum: float, scale: float, finite: bool) -> None:
    tensor = QuantisedTensor(codes=np.zeros(1, np.uint8), bits=8, minimum=np.float32(minimum), scale=np.float32(scale))
    assert tensor.is_finite is finite
