"""The chunk of a calibration: whole, of its own weights, or nothing."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nervplay.bitstream.calibration import decode_calibration, encode_calibration
from nervplay.errors import BitstreamError

MINE, OTHER = (hashlib.sha256(text).hexdigest() for text in (b"mine", b"other"))
NAMES = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=12)


@given(st.dictionaries(NAMES, st.binary(max_size=40), max_size=4))
def test_records_come_back_for_their_weights_only(records: dict[str, bytes]) -> None:
    data = encode_calibration(MINE, records)
    assert decode_calibration(data, MINE) == records
    assert decode_calibration(data, OTHER) == {}


def test_a_cut_or_doubled_record_is_refused() -> None:
    data = encode_calibration(MINE, {"a": b"123", "b": b""})
    assert len(data) == 16 + (1 + 1 + 4 + 3) + (1 + 1 + 4)
    whole = {16, 25, 31}
    for length in range(len(data)):
        if length in whole:
            decode_calibration(data[:length], MINE)
        else:
            with pytest.raises(BitstreamError, match="a calibration"):
                decode_calibration(data[:length], MINE)
    for more in (data[16:25], b"\0" + bytes(4)):
        with pytest.raises(BitstreamError, match="a calibration has two records"):
            decode_calibration(data + more, MINE)


@given(st.binary(max_size=60))
def test_any_bytes_are_records_or_the_named_error(noise: bytes) -> None:
    data = bytes.fromhex(MINE)[:16] + noise
    try:
        records = decode_calibration(data, MINE)
    except BitstreamError:
        return
    assert sum(map(len, records.values())) <= len(noise)
