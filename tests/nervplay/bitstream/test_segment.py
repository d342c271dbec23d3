"""Segments: all widths and lengths come back; blobs that lie are refused."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nervplay.bitstream.limits import MAX_ROWS
from nervplay.bitstream.segment import CodedTensor, RowBudget, decode_segment, encode_segment
from nervplay.errors import BitstreamError


def round_trip(tensors: list[tuple[np.ndarray, int]], **options: int) -> bytes:
    blob, models = encode_segment(tensors, **options)
    table = [CodedTensor(codes.shape, bits, model) for (codes, bits), model in zip(tensors, models, strict=True)]
    back = decode_segment(blob, table, "seg.0000", RowBudget())
    for (codes, bits), flat in zip(tensors, back, strict=True):
        assert flat.dtype == (np.uint8 if bits <= 8 else np.uint16)
        assert np.array_equal(flat, codes.ravel())
    return blob


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 16), st.integers(1, 3000), st.floats(0.001, 0.6), st.integers(0, 2**32 - 1)),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([1, 40, 4096]),
)
def test_round_trip(specs: list[tuple[int, int, float, int]], segments: int) -> None:
    tensors = []
    for bits, count, spread, seed in specs:
        rng = np.random.default_rng(seed)
        top = (1 << bits) - 1
        values = np.clip(np.rint(rng.uniform(0, top) + rng.laplace(0, spread * top, count)), 0, top)
        tensors.append((values.astype(np.uint16), bits))
    round_trip(tensors, segments=segments)


def test_shapes_and_memory_order_do_not_matter() -> None:
    codes = np.random.default_rng(0).integers(0, 16, (20, 30)).astype(np.uint8)
    assert round_trip([(codes.T, 4)]) == round_trip([(np.ascontiguousarray(codes.T), 4)])


def blob_and_table() -> tuple[bytes, list[CodedTensor]]:
    rng = np.random.default_rng(3)
    codes = np.clip(np.rint(128 + rng.laplace(0, 4, 5000)), 0, 255).astype(np.uint8)
    blob, models = encode_segment([(codes, 8)])
    return blob, [CodedTensor((5000,), 8, models[0])]


def test_rows_are_bounded() -> None:
    blob, table = blob_and_table()
    budget = RowBudget()
    budget.spend(MAX_ROWS)
    with pytest.raises(BitstreamError, match="decoding steps"):
        budget.spend(1)
    budget = RowBudget()
    budget.spend(MAX_ROWS - 5000)
    decode_segment(blob, table, "seg.0000", budget)
    with pytest.raises(BitstreamError, match="decoding steps"):
        decode_segment(blob, table, "seg.0000", budget)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, 1 << 31, "too early"),
        (4, 1 << 31, "too early"),
        (8, 1 << 31, "too early"),
        (8, 0, "bytes too many"),
        (12, 4097, "lanes"),
        (12, 0, "bytes too many"),
    ],
)
def test_sizes_that_lie(offset: int, value: int, message: str) -> None:
    blob, table = blob_and_table()
    lie = bytearray(blob)
    struct.pack_into("<H" if offset == 12 else "<I", lie, offset, value)
    with pytest.raises(BitstreamError, match=message):
        decode_segment(bytes(lie), table, "seg.0000", RowBudget())


def test_coded_symbols_need_lanes() -> None:
    blob, table = blob_and_table()
    side = struct.unpack_from("<I", blob)[0]
    bare = struct.pack("<IIIH", side, 0, 0, 0) + blob[14 : 14 + side]
    with pytest.raises(BitstreamError, match="no lanes"):
        decode_segment(bare, table, "seg.0000", RowBudget())


def test_left_over_parts() -> None:
    blob, table = blob_and_table()
    side, raw, words, lanes = struct.unpack_from("<IIIH", blob)
    more_words = struct.pack("<IIIH", side, raw, words + 1, lanes) + blob[14:] + b"\0\0"
    more_side = struct.pack("<IIIH", side + 1, raw, words, lanes) + blob[14 : 14 + side] + b"\0" + blob[14 + side :]
    more_raw = struct.pack("<IIIH", side, raw + 1, words, lanes) + blob[14 : 14 + side] + b"\0" + blob[14 + side :]
    for lie, message in (
        (more_side, "side information of 'seg.0000' has 1"),
        (more_raw, "raw bits of 'seg.0000'"),
        (more_words, "do not end"),
    ):
        with pytest.raises(BitstreamError, match=message):
            decode_segment(lie, table, "seg.0000", RowBudget())


def test_three_million_weights() -> None:
    """The size of a large network; benchmarks/bitstream.py says how long it takes."""
    rng = np.random.default_rng(5)
    tensors = [(np.clip(np.rint(128 + rng.normal(0, 20, 60_000)), 0, 255).astype(np.uint8), 8) for _ in range(50)]
    blob, models = encode_segment(tensors)
    decoded = decode_segment(blob, [CodedTensor((60_000,), 8, m) for m in models], "seg.0000", RowBudget())
    for (codes, _), again in zip(tensors, decoded, strict=True):
        np.testing.assert_array_equal(again, codes)
