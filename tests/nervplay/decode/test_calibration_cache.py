"""The user's cache of calibrations: whole, of one network and one setting, or nothing."""

from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from decoder_networks import network

from nervplay.decode.calibration_cache import Calibration, cache_file, load, store
from nervplay.decode.carried import every_convolution
from nervplay.decode.graph import trace
from nervplay.decode.lowering import Conv, lower

RESTS = ("bfloat16", "float32")


@pytest.fixture(scope="module")
def convs() -> list[Conv]:
    return every_convolution(lower(trace(network("hnerv-tiny")), 1))


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_what_is_kept_comes_back(convs: list[Conv]) -> None:
    path = cache_file(convs, "a")
    assert load(path, convs, RESTS) is None
    found = Calibration({convs[2]: np.arange(7, dtype=np.uint8), convs[0]: np.ones((2, 3), np.float32)}, "bfloat16")
    store(path, convs, found)
    known = load(path, convs, RESTS)
    assert known is not None
    assert known.rest == "bfloat16"
    assert known.peaks.keys() == found.peaks.keys()
    for conv, peak in found.peaks.items():
        np.testing.assert_array_equal(known.peaks[conv], peak)
    store(path, convs, Calibration({}, "float32"))
    assert load(path, convs, RESTS) == ({}, "float32")


def test_another_network_or_setting_is_another_file(convs: list[Conv]) -> None:
    files = {cache_file(convs, "a"), cache_file(convs, "b"), cache_file(convs[1:], "a"), cache_file(convs[::-1], "a")}
    assert len(files) == 4
    assert cache_file(convs, "a") in files


def test_what_is_damaged_or_of_another_kind_is_nothing(convs: list[Conv]) -> None:
    path = cache_file(convs, "a")
    store(path, convs, Calibration({convs[-1]: np.ones(9)}, "bfloat16"))
    whole = path.read_bytes()
    assert load(path, convs, ("float32",)) is None, "no such rest here"
    assert load(path, convs[:2], RESTS) is None, "fewer convolutions"
    encrypted = bytearray(whole)
    encrypted[whole.index(b"PK\x01\x02") + 8] |= 1
    for damaged in (b"", whole[:60], whole[:-30], b"noise" * 40, bytes(encrypted)):
        path.write_bytes(damaged)
        assert load(path, convs, RESTS) is None
    other = BytesIO()
    np.savez(other, **{"0": np.ones(3)})  # type: ignore[arg-type]
    path.write_bytes(sha256(other.getvalue()).digest() + other.getvalue())
    assert load(path, convs, RESTS) is None, "it does not say what the rest is"


def test_a_cache_that_cannot_be_written_is_no_fault(
    convs: list[Conv], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    path = cache_file(convs, "a")
    store(path, convs, Calibration({}, "float32"))
    assert load(path, convs, RESTS) is None
