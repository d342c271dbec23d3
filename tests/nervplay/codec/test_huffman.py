"""The official rate, bit for bit."""

import json
from pathlib import Path

import numpy as np
import pytest

from nervplay.bitstream import QuantisedTensor
from nervplay.codec.huffman import code_lengths, official_bits
from nervplay.codec.official import open_quantised


@pytest.mark.parametrize("number", range(4))
def test_golden_codes(golden: Path, number: int) -> None:
    case = json.loads((golden / "misc_ops" / "huffman_cases.json").read_text())[number]
    counts = np.bincount(case["data"])
    lengths = code_lengths(counts)
    assert {str(symbol): int(lengths[symbol]) for symbol in np.flatnonzero(lengths)} == case["lengths"]
    assert int((counts * lengths).sum()) == case["bits_excluding_eof"]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("folder", "file", "key"),
    [
        ("hnerv_q", "quant_vid.pth", ("huffman",)),
        ("hnerv_q", "quant_vid_pruned10.pth", ("pruned10", "huffman")),
    ],
)
def test_golden_totals(golden: Path, folder: str, file: str, key: tuple[str, ...]) -> None:
    about = json.loads((golden / folder / "config.json").read_text())
    opened = open_quantised(golden / folder / file, about["argv"])
    assert opened is not None
    for name in key:
        about = about[name]
    tensors = [tensor for tensor in opened.tensors.values() if isinstance(tensor, QuantisedTensor)]
    assert official_bits(tensors) == about["total_bits"]


@pytest.mark.slow
def test_the_published_video(golden: Path) -> None:
    folder = golden / "hnerv_bunny_quant_vid"
    opened = open_quantised(folder / "quant_vid.pth", json.loads((folder / "config.json").read_text())["flags"])
    assert opened is not None
    tensors = [tensor for tensor in opened.tensors.values() if isinstance(tensor, QuantisedTensor)]
    assert official_bits(tensors) == 11_846_247


def test_one_symbol_takes_one_bit() -> None:
    assert code_lengths(np.array([0, 9])).tolist() == [0, 1]
