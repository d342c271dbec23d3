"""JSON of unknown origin."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nervplay.bitstream.strict_json import dump_json, parse_json
from nervplay.errors import BitstreamError, UsageError

text = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=20,
)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(text, plain, max_size=4))
def test_round_trip(value: dict[str, object]) -> None:
    try:
        assert parse_json(dump_json(value), "it") == value
    except BitstreamError as error:
        assert "nested" in str(error)  # noqa: PT017 - both outcomes are right


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(raw: bytes) -> None:
    with contextlib.suppress(BitstreamError):
        assert isinstance(parse_json(raw, "it"), dict)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":2}',
        b'{"b":{"a":1,"a":2}}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":12345678901234567890}',
        b'{"a":0.' + b"1" * 40 + b"}",
        b"[" * 13 + b"]" * 13,
        b'{"a":' * 13 + b"1" + b"}" * 13,
        b"[]",
        b"1",
        b'{"a":1} x',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"\\udc00":1}',
        b"",
    ],
)
def test_refused(raw: bytes) -> None:
    with pytest.raises(BitstreamError):
        parse_json(raw, "it")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":' * 11 + b"[]" + b"}" * 11,
        b'{"a":"[[[[[[[[[[[[[[[[\\"[[["}',
        b'{"a":-9999999999999999999}',
        b'{"a":"\\ud83d\\ude00"}',
    ],
)
def test_accepted(raw: bytes) -> None:
    assert parse_json(raw, "it") == json.loads(raw)


@pytest.mark.parametrize("raw", [b"[" * 2**20, b"[]," * 2**18, b'"' * 2**20, b'"\\' * 2**19, b'{"":' * 2**18])
def test_a_mebibyte_of_malice_is_refused(raw: bytes) -> None:
    with pytest.raises(BitstreamError):
        parse_json(raw, "it")


def test_dumped_the_same_whatever_the_order() -> None:
    assert (
        dump_json({"b": [1, (2,)], "a": "é"}) == dump_json({"a": "é", "b": [1, [2]]}) == b'{"a":"\\u00e9","b":[1,[2]]}'
    )


@pytest.mark.parametrize("value", [{"a": float("nan")}, {"a": object()}, {"a": {1, 2}}])
def test_dump_refuses_what_json_lacks(value: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="plain JSON"):
        dump_json(value)
