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
PAGE = (REPOSITORY / "docs" / "spec" / "nerv-format.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("clause", "text"),
    [
        ("2.1", f"{limits.MAX_FILE_BYTES >> 20} MiB"),
        ("2.2", f"{limits.MAX_HEADER_BYTES >> 20} MiB"),
        ("2.3", f"{limits.MAX_METADATA_BYTES >> 10} KiB"),
        ("2.4", f"1 to {limits.MAX_CHUNKS}; rank 0 to {limits.MAX_RANK};"),
        ("2.5", f"at most 4 Mi + 256 * (bytes of the file), and at most {limits.MAX_WEIGHTS >> 20} Mi"),
        ("2.6", f"1 to {limits.MAX_NAME + 7} characters, of tensors: 1 to {limits.MAX_NAME},"),
        ("2.7", f"nesting of at most {limits.MAX_JSON_DEPTH}; integers of at most {limits.MAX_JSON_DIGITS} digits"),
        ("2.7", f"at most {2 * limits.MAX_JSON_DIGITS} characters"),
        ("2.8", f"{limits.MAX_HEAD_BYTES >> 20} MiB after inflation"),
        ("2.9", f"1 to {limits.MAX_SIDE}, width * height <= {limits.MAX_PIXELS:_}".replace("_", " ")),
        ("2.9", f"1 to {limits.MAX_FRAMES:_} frames, rate > 0 and <= {limits.MAX_RATE} ".replace("_", " ")),
        ("2.10", f"{limits.MAX_TENSORS} in all segments"),
        ("2.11", f"{limits.MAX_LANES} lanes; {limits.MAX_ROWS:_} rows".replace("_", " ")),
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
