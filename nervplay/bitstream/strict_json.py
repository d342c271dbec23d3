"""JSON as files of unknown origin may hold it: an object, small, finite and without surprises."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from nervplay.bitstream.limits import MAX_JSON_DEPTH, MAX_JSON_DIGITS
from nervplay.bitstream.refusal import damaged
from nervplay.errors import BitstreamError, UsageError

__all__ = ["dump_json", "parse_json"]

# Possessive, and an open string matches up to the end: every byte is looked at once, whatever the text.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_STEP = np.zeros(256, np.int8)
_STEP[[ord("["), ord("{")]] = 1
_STEP[[ord("]"), ord("}")]] = -1


def parse_json(raw: bytes, what: str) -> dict[str, Any]:
    """Return the JSON object in `raw` (clause 3.3).

    Args:
        raw: UTF-8 text; the caller has bounded its length.
        what: name of the text in messages ("the header").

    Raises:
        BitstreamError: not JSON, not an object, a key twice, NaN or infinity, a number of more than 19 digits, nesting
            deeper than 12, or text that is no Unicode.
    """
    # Before json.loads, which recurses: the nesting of the text with its strings taken out.
    steps = _STEP[np.frombuffer(_STRING.sub(b"", raw), np.uint8)]
    if steps.size and int(np.cumsum(steps, dtype=np.int32).max()) > MAX_JSON_DEPTH:
        raise damaged(f"{what} is nested deeper than {MAX_JSON_DEPTH} levels")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise damaged(f"{what} holds a key twice")
        return result

    def refuse(text: str) -> NoReturn:
        raise damaged(f"{what} holds the number {text[:24]}; numbers are finite and have at most 19 digits")

    def integer(text: str) -> int:
        return int(text) if len(text.lstrip("-")) <= MAX_JSON_DIGITS else refuse(text)

    def real(text: str) -> float:
        value = float(text) if len(text) <= 2 * MAX_JSON_DIGITS else math.inf
        return value if math.isfinite(value) else refuse(text)

    try:
        value = json.loads(
            raw.decode(), object_pairs_hook=unique, parse_int=integer, parse_float=real, parse_constant=refuse
        )
        # Escapes such as \ud800 pass the decoder but are no characters: nobody could print or hash them.
        json.dumps(value, ensure_ascii=False).encode()
    except BitstreamError:
        raise
    except ValueError:
        raise damaged(f"{what} is not valid JSON") from None
    if not isinstance(value, dict):
        raise damaged(f"{what} is not a JSON object")
    return value


def dump_json(value: Mapping[str, Any]) -> bytes:
    """Return `value` as compact ASCII JSON with sorted keys: the same value, the same bytes.

    Raises:
        UsageError: a value that JSON cannot hold, NaN and infinity included.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise UsageError(f"{error}: a .nerv file holds plain JSON; store numbers, text, lists or dicts") from None
