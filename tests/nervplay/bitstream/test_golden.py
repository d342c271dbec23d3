"""Golden files decode for ever, by our reader and by the one that is written from the specification alone."""

import hashlib
import importlib.util
import subprocess
import sys
import zlib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from nervplay.bitstream import QuantisedTensor, encode_nerv, read_nerv, weights_sha256
from nervplay.bitstream.arrays import decode_arrays
from nervplay.bitstream.calibration import decode_calibration
from nervplay.bitstream.sections import calibration_section
from nervplay.bitstream.segment import RowBudget

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "read_nerv_numpy.py"

# file: (weights_sha256, SHA-256 of all dequantised values as little-endian float32)
PINNED = {
    "every-kind.nerv": (
        "1bc485578d6e652e69059040148d56f94cf905168aa800e64a5e6c14ce35de58",
        "c47a26b73bee95f40ed009842ae84633bf268ac9da3eaeb809af68a9edc37906",
    ),
    "three-segments.nerv": (
        "b9bf01fff226f829d3d51188aac4bf0e82f177db7f7f3c8229945ecc65a3f76a",
        "da80bbe8b79653b40a398a8c30097ad4f158a212b83ccbe83cdbf1d77b90eeb1",
    ),
    "models-and-widths.nerv": (
        "cf41e81868b0b5d189c3303a330f066c66525e358773854a5e5c98698da95edb",
        "a811dfb7696112d66c0ccc45e9926bd3c08ef28dc1b392ba7b98cb714d93351f",
    ),
    "float-only.nerv": (
        "b83c951e21b44c0ff6cc98f98132c89d443945eab7ebaab3d713d70ec5e95dc8",
        "861b8a9b8b6e3a43a3a9084125106fba6a8db9a8bd8280924fd9d7b4d4061b15",
    ),
    "runs-and-differences.nerv": (
        "34c88998b1a35069e6b232284c9c09b74103a0fe9bc5c6a16e97e68fdbbfedd0",
        "36de90cca99bbdd3f46bf06b37f9ff8a6efb09b1e2b4324ba9f05248cab0bd90",
    ),
    "kernels.nerv": (
        "26acc182003f7daa1bb7e00ae4f5058658ddda910f01e8f96f3b1f444690344b",
        "56e119b8662ef70d93209b114e6d60d6001f0819aed6240010769b5558bc3088",
    ),
    "calibrated.nerv": (
        "de54ab10bfdced37a0688bb0d5fa028cba9a13e938b124542a6d485b11d330ab",
        "d728ea127cd618fb8c6d77c1cdd8efb6c340876ac331ef7c2337624d86c902e3",
    ),
    "later-minor.nerv": (
        "1bc485578d6e652e69059040148d56f94cf905168aa800e64a5e6c14ce35de58",
        "c47a26b73bee95f40ed009842ae84633bf268ac9da3eaeb809af68a9edc37906",
    ),
}


def test_all_golden_files_are_pinned_and_small(tool: SimpleNamespace) -> None:
    files = list(tool.golden_files.glob("*.nerv"))
    assert {file.name for file in files} == set(PINNED)
    assert sum(file.stat().st_size for file in files) < 200_000


@pytest.mark.parametrize("name", PINNED)
def test_decodes_to_the_pinned_weights(tool: SimpleNamespace, name: str) -> None:
    file = read_nerv(tool.golden_files / name)
    assert weights_sha256(file.segments) == PINNED[name][0]
    values = hashlib.sha256()
    for segment in file.segments:
        for tensor in segment.tensors.values():
            floats = tensor.dequantise() if isinstance(tensor, QuantisedTensor) else tensor
            values.update(floats.astype("<f4").tobytes())
    assert values.hexdigest() == PINNED[name][1]


@pytest.mark.parametrize(
    "name",
    ["every-kind.nerv", "models-and-widths.nerv", "runs-and-differences.nerv", "kernels.nerv", "calibrated.nerv"],
)
def test_the_writer_keeps_what_it_reads(tool: SimpleNamespace, name: str) -> None:
    file = read_nerv(tool.golden_files / name)
    again = read_nerv(encode_nerv(file))
    assert tool.same_content(again, file)
    assert again.extras == file.extras


def test_a_calibration_is_found_again(tool: SimpleNamespace) -> None:
    file = read_nerv(tool.golden_files / "calibrated.nerv")
    ((name, chunk),) = file.extras.items()
    assert name == calibration_section(0)
    records = decode_calibration(chunk.data, weights_sha256(file.segments))
    assert {name: (len(data), zlib.crc32(data)) for name, data in records.items()} == {
        "w8a16 1": (207, 2081740156),
        "w8a8 1": (186, 1056227811),
    }
    peaks = records["w8a16 1"]
    assert (peaks[0], peaks[1]) == (6, 0b10000)
    (codes,) = decode_arrays(peaks[2:], [(576, 8)], "x.int8.0000", RowBudget())
    assert (codes.min(), codes.max(), int(codes.sum())) == (125, 132, 74520)


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("read_nerv_numpy", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", PINNED)
def test_a_stranger_reads_the_same(tool: SimpleNamespace, example: ModuleType, name: str) -> None:
    head, weights, digest = example.read((tool.golden_files / name).read_bytes())
    assert digest == head["weights_sha256"] == PINNED[name][0]
    file = read_nerv(tool.golden_files / name)
    for number, segment in enumerate(file.segments):
        for key, tensor in segment.tensors.items():
            ours = tensor.dequantise() if isinstance(tensor, QuantisedTensor) else tensor
            assert np.array_equal(weights[f"{number}.{key}"], ours)


def test_the_stranger_is_short_and_needs_numpy_only(tool: SimpleNamespace) -> None:
    text = EXAMPLE.read_text()
    assert len(text.splitlines()) < 300
    assert "import nervplay" not in text
    assert "from nervplay" not in text
    file = tool.golden_files / "every-kind.nerv"
    shown = subprocess.run(
        [sys.executable, "-I", EXAMPLE, file], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    assert shown.startswith("64x36, 6 frames, hnerv v1\n")
    assert shown.endswith(f"sha256 {PINNED['every-kind.nerv'][0]} as stated\n")
