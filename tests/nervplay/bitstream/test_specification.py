"""The specification says what the code does: its limits, its names, its worked example."""

import re
from pathlib import Path

import numpy as np
import pytest

from nervplay.bitstream import limits
from nervplay.bitstream.entropy_model import MAX_ALPHABET
from nervplay.bitstream.head import ArchitectureEntry, AudioEntry, Head, SegmentEntry, TensorEntry
from nervplay.bitstream.segment import CodedTensor, RowBudget, decode_segment
from nervplay.bitstream.tensor_code import model_names

REPOSITORY = Path(__file__).resolve().parents[3]
SMALL, MIDDLE_BYTES, LARGE = limits.allowance(0), 1 << 20, limits.allowance(limits.MAX_FILE_BYTES)
MIDDLE = limits.allowance(MIDDLE_BYTES)
PAGE = (REPOSITORY / "docs" / "spec" / "nerv-format.md").read_text(encoding="utf-8")


def rate(what: str) -> int:
    """Bytes of a file for each further one that it may ask for."""
    return MIDDLE_BYTES // (getattr(MIDDLE, what) - getattr(SMALL, what))


@pytest.mark.parametrize(
    ("clause", "text"),
    [
        ("2.1", f"{limits.MAX_FILE_BYTES >> 30} GiB"),
        ("2.2", f"{SMALL.header >> 20} MiB + N / {rate('header')}, at most {LARGE.header >> 20} MiB"),
        ("2.3", f"{SMALL.metadata >> 10} KiB + N / {rate('metadata')}, at most {LARGE.metadata >> 20} MiB"),
        ("2.4", f"1 to {SMALL.chunks} + N / {rate('chunks')}, at most {LARGE.chunks:_}; rank".replace("_", " ")),
        ("2.4", f"rank 0 to {limits.MAX_RANK};"),
        ("2.5", f"at most {SMALL.weights >> 20} Mi + {(MIDDLE.weights - SMALL.weights) // MIDDLE_BYTES} * N"),
        ("2.5", f"of a segment at most {limits.MAX_WEIGHTS >> 20} Mi"),
        ("2.6", f"1 to {limits.MAX_NAME + 7} characters, of tensors: 1 to {limits.MAX_NAME},"),
        ("2.7", f"nesting of at most {limits.MAX_JSON_DEPTH}; integers of at most {limits.MAX_JSON_DIGITS} digits"),
        ("2.7", f"at most {2 * limits.MAX_JSON_DIGITS} characters"),
        (
            "2.8",
            f"{SMALL.head >> 20} MiB + {(MIDDLE.head - SMALL.head) // MIDDLE_BYTES} * N, at most {LARGE.head >> 20}",
        ),
        ("2.9", f"1 to {limits.MAX_SIDE}, width * height <= {limits.MAX_PIXELS:_}".replace("_", " ")),
        ("2.9", f"1 to {limits.MAX_FRAMES:_} frames, rate > 0 and <= {limits.MAX_RATE} ".replace("_", " ")),
        ("2.10", f"{SMALL.tensors} + N / {rate('tensors')}, at most {limits.MAX_TENSORS:_}, in".replace("_", " ")),
        ("2.11", f"{limits.MAX_LANES} lanes; {SMALL.rows:_} + N / {rate('rows')} rows".replace("_", " ")),
    ],
)
def test_limits(clause: str, text: str) -> None:
    (row,) = re.findall(rf"^\| {re.escape(clause)} \|.*$", PAGE, re.MULTILINE)
    assert text in row


def test_every_field_and_model_is_named() -> None:
    for record in (ArchitectureEntry, AudioEntry, Head, SegmentEntry, TensorEntry):
        for name in record.__annotations__:
            assert f"`{name}`" in PAGE
    for model in model_names():
        assert f"| `{model}` |" in PAGE
    assert f"1 to {MAX_ALPHABET} |" in PAGE


def test_clauses_that_the_code_quotes_exist() -> None:
    clauses = set(re.findall(r"^(\d+\.\d+)\. ", PAGE, re.MULTILINE)) | set(
        re.findall(r"^\| (\d+\.\d+) \|", PAGE, re.MULTILINE)
    )
    clauses |= set(re.findall(r"^## (\d+)\. ", PAGE, re.MULTILINE))
    quoted = set()
    for file in (REPOSITORY / "nervplay" / "bitstream").glob("*.py"):
        quoted |= set(re.findall(r"clauses? (\d+(?:\.\d+)?)", file.read_text(encoding="utf-8")))
    assert len(quoted) > 10
    assert quoted <= clauses


def test_worked_example() -> None:
    section = PAGE.partition("## 9. ")[2].partition("By 5.5")[0]
    lines = re.findall(r"^ {4}((?:[0-9a-f]{2,8} ?)+)  ", section, re.MULTILINE)
    blob = bytes.fromhex("".join(lines))
    assert len(blob) == 27
    (codes,) = decode_segment(blob, [CodedTensor((3,), 3, "laplace")], "seg.0000", RowBudget())
    assert np.array_equal(codes, [5, 2, 5])
