"""Calibration in few bits: what comes back, and what of a stranger's bytes is let in."""

import numpy as np
import pytest
from decoder_networks import network
from hypothesis import given
from hypothesis import strategies as st

from nervplay.decode.carried import every_convolution, from_powers, from_record, to_powers, to_record
from nervplay.decode.graph import trace
from nervplay.decode.lowering import lower
from nervplay.decode.openvino.bench import candidates
from nervplay.decode.w8a8 import PortableBench, from_codes, to_codes


@given(st.lists(st.floats(0, 1e15), min_size=1, max_size=20), st.sampled_from([(2, 8), (8, 10)]))
def test_powers_are_the_next_ones_above(values: list[float], kind: tuple[int, int]) -> None:
    given_, (per_octave, bits) = np.array(values), kind
    codes = to_powers(given_, per_octave, bits)
    assert codes.max() < 1 << bits
    back = from_powers(codes, per_octave, bits)
    reached = np.maximum(given_, back.min(initial=np.inf, where=codes == 0) if (codes == 0).any() else 0)
    assert (back >= reached * (1 - 1e-6)).all()
    assert (back <= np.maximum(given_ * 2 ** (1 / per_octave), 2.0**-60) * (1 + 1e-6)).all()
    np.testing.assert_array_equal(to_powers(back, per_octave, bits), codes)


@pytest.fixture(scope="module")
def bench() -> PortableBench:
    lowered = lower(trace(network("hnerv-tiny")), 1)
    return PortableBench(lowered, candidates(lowered))


def test_integers_come_back_but_for_their_weights(bench: PortableBench) -> None:
    rng = np.random.default_rng(5)
    for conv in bench.convolutions():
        codes = [rng.integers(400, 600, count) % (1 << bits) for count, bits in bench.sizes(conv)]
        codes[2] = np.maximum(codes[2], 1)
        codes[2][0] = 255  # the largest correction is 127 steps
        found = from_codes(conv, [part.astype(np.uint16) for part in codes])
        assert -128 <= found.units.zero == codes[1][0] % 256 - 128
        again = from_codes(conv, to_codes(conv, found))
        np.testing.assert_array_equal(again.to_bytes(), found.to_bytes())
        exact = conv.weight * found.units.scale[:, None, None]
        assert np.abs(found.weight * found.unit[:, None, None, None] - exact).max() < 32 * found.unit.max()


def test_a_record_says_which_convolutions(bench: PortableBench) -> None:
    every = bench.numbered()
    assert set(bench.convolutions()) < set(every)
    chosen = bench.convolutions()[1:]
    codes = {conv: [np.full(count, 128, np.uint16) for count, _ in bench.sizes(conv)] for conv in chosen}
    peaks = {conv: bench.from_codes(conv, codes[conv]) for conv in chosen}
    data = to_record(bench, peaks)
    found = from_record(data, bench)
    assert found is not None
    assert list(found) == list(chosen)
    assert to_record(bench, found) == data
    assert from_record(to_record(bench, {}), bench) == {}
    assert len(to_record(bench, {})) == 1 + -(-len(every) // 8)
    other = lower(trace(network("nerv-tiny")), 1)
    assert from_record(data, PortableBench(other, every_convolution(other))) is None


@given(st.data())
def test_a_stranger_s_record_is_finite_or_nothing(bench: PortableBench, data: st.DataObject) -> None:
    whole = to_record(bench, {conv: bench.from_codes(conv, [np.full(c, 9, np.uint16) for c, _ in bench.sizes(conv)])
                              for conv in bench.convolutions()})  # fmt: skip
    bent = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        bent[data.draw(st.integers(0, len(bent) - 1))] = data.draw(st.integers(0, 255))
    found = from_record(bytes(bent), bench)
    for array in (found or {}).values():
        assert array.dtype == np.uint8
    for length in range(0, len(whole), 7):
        assert from_record(whole[:length], bench) is None
