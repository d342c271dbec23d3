"""Ways to code a tensor: the smallest is taken, each comes back, and lies are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nervplay.bitstream.packing import ByteCursor, varint
from nervplay.bitstream.segment import decode_segment, encode_segment
from nervplay.bitstream.tensor_code import CodedTensor, CodeReader, RowBudget, decode_tensor, encode_tensor, model_names
from nervplay.errors import BitstreamError, VersionError


def entropy_bytes(codes: np.ndarray) -> float:
    counts = np.bincount(codes.ravel())
    share = counts[counts > 0] / codes.size
    return float(-(share * np.log2(share)).sum() * codes.size / 8)


def coded(codes: np.ndarray, bits: int) -> tuple[int, str]:
    """Bytes and model of a tensor that was decoded again."""
    blob, models = encode_segment([(codes, bits)])
    back = decode_segment(blob, [CodedTensor(codes.shape, bits, models[0])], "seg.0000", RowBudget())[0]
    assert np.array_equal(back, codes.ravel())
    return len(blob), models[0]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 16), st.lists(st.integers(1, 12), max_size=3), st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_any_tensor_comes_back(bits: int, shape: list[int], seed: int, kind: int) -> None:
    rng = np.random.default_rng(seed)
    top = (1 << bits) - 1
    steps = rng.normal(0, 0.5 + top / 40, shape)
    values = np.cumsum(steps, axis=0) if kind == 1 and shape else steps * (rng.random(shape) < 0.3 if kind == 2 else 3)
    coded(np.clip(np.rint(top / 2 + values), 0, top).astype(np.uint16), bits)


def test_embeddings_are_coded_by_what_changes() -> None:
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(0, 1.5, (132, 16, 2, 4)), axis=0)
    low, high = walk.min(0), walk.max(0)
    codes = np.rint((walk - low) / (high - low) * 63).astype(np.uint8)
    size, model = coded(codes, 6)
    assert model.startswith("previous-")
    assert size < 0.75 * entropy_bytes(codes)


@pytest.mark.parametrize("kept", [0.5, 0.2])
def test_pruned_channels_are_coded_by_runs(kept: float) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0, 20, (200, 40, 3, 3))
    values[rng.random(values.shape) > rng.uniform(0, 2 * kept, (200, 1, 1, 1))] = 0
    codes = np.clip(np.rint(128 + values), 0, 255).astype(np.uint8)
    size, model = coded(codes, 8)
    assert model == "runs"
    assert size < entropy_bytes(codes), "channels lose unequal shares, which a histogram does not see"


def test_evenly_pruned_weights_stay_near_the_entropy() -> None:
    rng = np.random.default_rng(2)
    codes = np.where(rng.random(60_000) < 0.4, np.rint(128 + rng.normal(0, 9, 60_000)), 128).astype(np.uint8)
    assert coded(codes, 8)[0] < 1.01 * entropy_bytes(codes)


def test_names() -> None:
    assert len(model_names()) == 13
    for model in ("runs-laplace", "previous-", "previous-runs", "previous-previous-laplace"):
        reader = CodeReader(ByteCursor(b"", "raw"), None, 1, RowBudget())  # type: ignore[arg-type]  # not reached
        with pytest.raises(VersionError, match="made by a newer nervplay"):
            decode_tensor(CodedTensor((3,), 8, model), ByteCursor(bytes(9), "side"), reader)


@pytest.mark.parametrize(
    ("side", "message"),
    [
        (varint(256) + varint(1) + varint(1) + b"\0", "runs of the code 256 of 8 bits"),
        (varint(0) + varint(1) + varint(1) + b"\x40", r"under the models \(0, 4\)"),
        (varint(0) + varint(1) + varint(1) + b"\x04", r"under the models \(4, 0\)"),
        (varint(0) + varint(1) + varint(0) + b"\0", "1 runs with 0 codes between them in 600"),
        (varint(0) + varint(1) + varint(601) + b"\0", "1 runs with 601 codes between them in 600"),
        (varint(0) + varint(4) + varint(1) + b"\0", "4 runs with 1 codes between them in 600"),
    ],
)
def test_runs_that_lie(side: bytes, message: str) -> None:
    reader = CodeReader(ByteCursor(b"", "raw"), None, 1, RowBudget())  # type: ignore[arg-type]  # not reached
    with pytest.raises(BitstreamError, match=message):
        decode_tensor(CodedTensor((600,), 8, "runs"), ByteCursor(side, "side"), reader)


def test_the_writer_reckons_what_it_writes() -> None:
    rng = np.random.default_rng(4)
    codes = np.clip(np.rint(128 + rng.normal(0, 9, (300, 50))), 0, 255).astype(np.uint8)
    parts = encode_tensor(codes, 8)
    assert coded(codes, 8)[0] == pytest.approx(parts.size + 14 + 4 * 2, abs=16)
