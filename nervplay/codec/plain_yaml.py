"""The little YAML that official configuration files are written in; anything else is refused by its line.

seed: 5                         scalars: whole numbers, numbers, true, false, null, words, quoted words
model:                          nested mappings, by indentation
  stride_list: [5, 4, 3]        lists in brackets
  kernel_list:                  lists of lines, indented or not, as PyYAML writes them
  - 1
  - 3
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from nervplay.errors import UsageError

__all__ = ["read_yaml"]

_KEY = re.compile(r"([A-Za-z_][\w-]*)\s*:(?:\s+(.*))?")
_ITEM = re.compile(r"-\s+(.*)")
_SAID = re.compile(r"""(?:(?<=[\s\[,])'[^']*'|(?<=[\s\[,])"[^"]*"|(?<=\S)\#|[^#])*""")
"""What stands before a comment: a # counts as one at the begin or behind a space, outside of quotes."""
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None}
_MAX_DEPTH = 8
_SPECIAL = "[]{}&*!|>%@`\"'"


class _Line(NamedTuple):
    """A line that says something: its number from 1, its indentation, its text."""

    number: int
    indent: int
    text: str


def _refuse(line: _Line, reason: str) -> UsageError:
    return UsageError(
        f"line {line.number} of the official configuration, '{line.text}', {reason}; use the file that the official "
        "code was run with"
    )


def _scalar(line: _Line, text: str) -> Any:
    """Return the value of a scalar.

    Raises:
        UsageError: a form that is not known here.
    """
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if re.fullmatch(r"[-+]?\d+", text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'" and text[0] not in text[1:-1] and "\\" not in text:
        return text[1:-1]
    if not text or text[0] in _SPECIAL or ": " in text:
        raise _refuse(line, "has a value that cannot be read")
    return text


def _value(line: _Line, text: str) -> Any:
    """Return the value behind a key: a list in brackets, or a scalar."""
    if text.startswith("[") and text.endswith("]"):
        inside = text[1:-1].strip()
        return [_scalar(line, part.strip()) for part in inside.split(",")] if inside else []
    return _scalar(line, text)


def _items(lines: Sequence[_Line], at: int) -> tuple[list[Any], int]:
    """Return the list of lines that begins at `at`, and the place behind it."""
    values = []
    indent = lines[at].indent
    while at < len(lines) and lines[at].indent == indent and (match := _ITEM.fullmatch(lines[at].text)):
        values.append(_scalar(lines[at], match[1]))
        at += 1
    return values, at


def _mapping(lines: Sequence[_Line], at: int, depth: int) -> tuple[dict[str, Any], int]:
    """Return the mapping that begins at `at`, and the place behind it.

    Raises:
        UsageError: a line that is no key, a key that was there before, or nesting beyond `_MAX_DEPTH`.
    """
    if depth > _MAX_DEPTH:
        raise _refuse(lines[at], f"is nested more than {_MAX_DEPTH} deep")
    values: dict[str, Any] = {}
    indent = lines[at].indent
    while at < len(lines) and lines[at].indent == indent:
        line = lines[at]
        match = _KEY.fullmatch(line.text)
        if match is None:
            raise _refuse(line, "is neither 'name: value' nor a list")
        name, rest = match[1], match[2]
        if name in values:
            raise _refuse(line, f"says '{name}' a second time")
        at += 1
        if rest:
            values[name] = _value(line, rest)
        elif at < len(lines) and lines[at].indent >= indent and _ITEM.fullmatch(lines[at].text):
            values[name], at = _items(lines, at)
        elif at < len(lines) and lines[at].indent > indent:
            values[name], at = _mapping(lines, at, depth + 1)
        else:
            values[name] = None
    return values, at


def read_yaml(text: str) -> dict[str, Any]:
    """Return a configuration as nested dicts of int, float, bool, str, None and lists of them.

    Args:
        text: the file; a mapping.

    Raises:
        UsageError: a line that this reader does not know; the message names it.
    """
    lines = []
    for number, raw in enumerate(text.splitlines(), start=1):
        said = _SAID.match(raw)
        assert said is not None  # it matches nothing, too
        bare = said[0].rstrip()
        if bare.strip() and bare != "---":
            lines.append(_Line(number, len(bare) - len(bare.lstrip()), bare.strip()))
    if not lines:
        raise UsageError("the official configuration is empty; give the YAML file that the official code was run with")
    values, at = _mapping(lines, 0, 1)
    if at < len(lines):
        raise _refuse(lines[at], "is indented unlike the lines above it")
    return values
