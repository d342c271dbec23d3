"""The choice of a model: near the entropy, never above raw, and the same everywhere."""

import numpy as np
import pytest

from nervplay.bitstream.entropy_model import base_model_names, choose_coding, read_coding
from nervplay.bitstream.packing import ByteCursor, varint
from nervplay.bitstream.segment import encode_segment
from nervplay.errors import BitstreamError, VersionError


def entropy_bytes(codes: np.ndarray) -> float:
    counts = np.bincount(codes.ravel())
    share = counts[counts > 0] / codes.size
    return float(-(share * np.log2(share)).sum() * codes.size / 8)


def weights_like(rng: np.random.Generator, gauss: bool, rows: int, columns: int) -> np.ndarray:
    """A tensor as trained networks have them: its own spread per row, 8 bits over the largest magnitude."""
    values = rng.normal(size=(rows, columns)) if gauss else rng.laplace(size=(rows, columns))
    values *= rng.uniform(0.5, 1.5, (rows, 1))
    return (np.rint(values / np.abs(values).max() * 127) + 127).astype(np.uint8)


@pytest.mark.parametrize(("columns", "bar"), [(20, 1.02), (200, 1.005), (1000, 1.005)])
def test_near_the_entropy_with_side_information(columns: int, bar: float) -> None:
    rng = np.random.default_rng(columns)
    tensors = [weights_like(rng, bool(i % 2), int(rng.integers(30, 300)), columns) for i in range(20)]
    blob, models = encode_segment([(t, 8) for t in tensors])
    ideal = sum(entropy_bytes(t) for t in tensors)
    assert len(blob) < bar * ideal
    assert set(models) <= {"histogram", "laplace", "gaussian"}


def test_what_is_reckoned_is_what_it_takes() -> None:
    """Side information is written for the choice alone; the others are known by their size."""
    rng = np.random.default_rng(1)
    for bits, count in ((3, 70), (6, 500), (8, 3000), (12, 3000)):
        for draw in (rng.normal, rng.laplace):
            codes = np.clip(np.rint(draw(0.5, 0.1, count) * (1 << bits)), 0, (1 << bits) - 1).astype(np.uint16)
            coding = choose_coding(codes, bits)
            coded = -(-count * coding.raw_bits // 8) + len(coding.side)
            counts = np.bincount((codes >> coding.raw_bits) - coding.first, minlength=coding.frequencies.size)
            coded += float(counts @ (14 - np.log2(coding.frequencies))) / 8
            assert coded == pytest.approx(coding.size, abs=1.01)


def test_what_is_not_priced_could_not_have_won(monkeypatch: pytest.MonkeyPatch) -> None:
    """Histograms are left out by the entropy alone: the choice is that of pricing all of them."""
    rng = np.random.default_rng(2)
    drawn = []
    for number in range(120):
        bits, count = int(rng.integers(2, 9)), int(rng.integers(20, 900))
        spread = (1 << bits) / rng.uniform(3, 12)
        values = rng.laplace(0, spread, count) if number % 2 else rng.choice([-spread, 0, spread], count)
        values = values + rng.normal(0, spread / 4, count)
        drawn.append((np.clip(np.rint(values + (1 << bits) / 2), 0, (1 << bits) - 1).astype(np.uint16), bits))
    chosen = [choose_coding(*each) for each in drawn]
    assert {coding.model for coding in chosen} == {"histogram", "laplace", "gaussian", "uniform"}
    monkeypatch.setattr("nervplay.bitstream.entropy_model._least_cost", lambda _: 0.0)
    for each, coding in zip(drawn, chosen, strict=True):
        full = choose_coding(*each)
        assert (coding.model, coding.side, coding.size) == (full.model, full.side, full.size)


def test_chosen_by_size() -> None:
    rng = np.random.default_rng(0)
    assert choose_coding(np.array([7], np.uint8), 8).model == "uniform"
    assert choose_coding(rng.integers(0, 256, 300).astype(np.uint8), 8).model == "uniform"
    laplace = np.clip(np.rint(128 + rng.laplace(0, 4, 800)), 0, 255).astype(np.uint8)
    assert choose_coding(laplace, 8).model == "laplace"
    two_heaps = np.repeat([3, 200], [40_000, 20_000]).astype(np.uint8)
    assert choose_coding(two_heaps, 8).model == "histogram"


@pytest.mark.parametrize("bits", range(1, 17))
def test_constant_tensors_cost_a_few_bytes(bits: int) -> None:
    for value in (0, (1 << bits) - 1):
        codes = np.full(100_000, value, np.uint16)
        blob, models = encode_segment([(codes, bits)])
        assert models == ["histogram"]
        assert len(blob) <= 14 + 6


@pytest.mark.parametrize("bits", [9, 12, 13, 16])
def test_wide_codes_keep_near_the_entropy(bits: int) -> None:
    """Codes beyond the alphabet's 4096 symbols: the low bits of a wide distribution are noise and stored raw."""
    rng = np.random.default_rng(bits)
    spread = (1 << bits) / 12
    codes = np.clip(np.rint((1 << bits) / 2 + rng.normal(0, spread, 200_000)), 0, (1 << bits) - 1).astype(np.uint16)
    blob, _ = encode_segment([(codes, bits)])
    ideal_bits = np.log2(spread * np.sqrt(2 * np.pi * np.e))
    assert len(blob) * 8 / codes.size < 1.01 * ideal_bits


def test_costs_cannot_round_differently_on_another_machine() -> None:
    exact = (14 - np.log2(np.arange(1, (1 << 14) + 1))) * 4096
    assert np.abs(exact - np.floor(exact) - 0.5).min() > 1e-7


def test_unknown_model_means_update() -> None:
    assert base_model_names() == ["gaussian", "histogram", "laplace", "uniform"]
    with pytest.raises(VersionError, match=r"'ggd' .* pip install -U nervplay"):
        read_coding("ggd", 8, ByteCursor(b"", "it"))


@pytest.mark.parametrize(
    ("model", "side", "message"),
    [
        ("histogram", bytes([8]) + varint(0) + varint(1), "8 raw bits do not make 8-bit"),
        ("histogram", bytes([0]) + varint(0) + varint(0), "0 symbols from 0"),
        ("histogram", bytes([0]) + varint(0) + varint(4097), "4097 symbols"),
        ("histogram", bytes([0]) + varint(200) + varint(57), "57 symbols from 200"),
        ("histogram", bytes([1]) + varint(127) + varint(2), "2 symbols from 127 and 1 raw bits"),
        ("histogram", bytes([0x10]) + varint(3) + varint(1), "1 symbols has the precision 1"),
        ("histogram", bytes([0x00]) + varint(3) + varint(2), "2 symbols has the precision 0"),
        ("histogram", bytes([0xF0]) + varint(3) + varint(2), "2 symbols has the precision 15"),
        ("laplace", bytes([0]) + varint(3) + varint(5) + varint(5) + b"\0\0", "5 symbols has its centre at 5"),
        ("laplace", bytes([0x10]) + varint(3) + varint(5) + varint(4) + b"\0\0", "5 symbols has its centre at 4"),
        ("laplace", bytes([0]) + varint(3) + varint(5) + varint(4) + b"\0", "ends too early"),
    ],
)
def test_side_information_that_is_refused(model: str, side: bytes, message: str) -> None:
    bits = 16 if message == "4097 symbols" else 8
    with pytest.raises(BitstreamError, match=message):
        read_coding(model, bits, ByteCursor(side, "the side information"))


def test_the_last_codes_are_reached() -> None:
    side = bytes([1]) + varint(126) + varint(2) + varint(1) + (9).to_bytes(2, "little")
    coding = read_coding("laplace", 8, ByteCursor(side, "it"))
    assert (coding.raw_bits, coding.first, coding.frequencies.size) == (1, 126, 2)
