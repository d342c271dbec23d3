"""The coded maps: smaller, the same, and only where they pay."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from nervplay.bitstream import NervFile, QuantisedTensor, encode_nerv, peek_nerv, read_nerv
from nervplay.bitstream.maps import decode_maps, encode_maps
from nervplay.bitstream.segment import RowBudget
from nervplay.errors import BitstreamError


def mapped(rng: np.random.Generator, maps: int, dtype: type) -> QuantisedTensor:
    """A tensor as per-channel quantisation leaves it: minima near -127 scales."""
    scale = (0.002 * np.exp(rng.normal(0, 0.2, (maps, 1)))).astype(dtype)
    return QuantisedTensor(
        codes=np.clip(np.rint(rng.normal(128, 30, (maps, 40))), 0, 255).astype(np.uint8),
        bits=8,
        minimum=(-127 * scale * rng.normal(1, 0.1, (maps, 1))).astype(dtype),
        scale=scale,
    )


def with_tensors(tool: SimpleNamespace, tensors: dict[str, QuantisedTensor]) -> NervFile:
    file = tool.make_file()
    segment = dataclasses.replace(file.segments[0], tensors=tensors)
    return dataclasses.replace(file, segments=(segment,))


def test_float16_maps_are_coded_where_it_pays(tool: SimpleNamespace) -> None:
    rng = np.random.default_rng(0)
    many = {"a": mapped(rng, 700, np.float16), "b": mapped(rng, 90, np.float32), "c": mapped(rng, 300, np.float16)}
    file = with_tensors(tool, many)
    data = encode_nerv(file)
    _, chunks = tool.take_box(data)
    assert len(chunks["maps"]) < 0.8 * 4 * 1000
    assert len(chunks["scales"]) == 8 * 90
    assert peek_nerv(data).section_bytes["scales"] == len(chunks["maps"]) + len(chunks["scales"])
    assert tool.same_content(read_nerv(data), file)
    half = encode_nerv(with_tensors(tool, {"a": many["a"]}))
    assert "scales" not in tool.take_box(half)[1]
    few = encode_nerv(with_tensors(tool, {"a": mapped(rng, 9, np.float16)}))
    assert "maps" not in tool.take_box(few)[1]


@pytest.mark.parametrize("values", [[0.0, -0.0, 1.0, -65504.0, 6e-8], [2.0] * 7])
def test_any_finite_number_comes_back(values: list[float]) -> None:
    minimum = np.array(values, np.float16)
    pairs = [(minimum, minimum[::-1].copy()), (minimum[:1], minimum[:1])]
    parts = decode_maps(encode_maps(pairs), [len(values), 1], RowBudget())
    for found, expected in zip(parts, [part for pair in pairs for part in pair], strict=True):
        assert found.tobytes() == expected.tobytes()


def test_maps_that_lie_are_refused(tool: SimpleNamespace) -> None:
    rng = np.random.default_rng(0)
    data = encode_nerv(with_tensors(tool, {"a": mapped(rng, 700, np.float16)}))
    header, chunks = tool.take_box(data)
    for change, message in (
        (lambda m: b"\x05" + m[1:], "names a model that does not exist"),
        (lambda m: b"\x50" + m[1:], "names a model that does not exist"),
        (lambda m: m[:-2], "the chunk 'maps' ends too early"),
        (lambda m: m + b"\0", "1 bytes too many"),
    ):
        with pytest.raises(BitstreamError, match=message):
            read_nerv(tool.make_box(header, chunks | {"maps": change(chunks["maps"])}))
    del header["maps"]
    maps = chunks.pop("maps")
    with pytest.raises(BitstreamError, match="'scales' is missing"):
        read_nerv(tool.make_box(header, chunks))
    whole = encode_nerv(with_tensors(tool, {"a": mapped(rng, 700, np.float32)}))
    header, chunks = tool.take_box(whole)
    with pytest.raises(BitstreamError, match="does not mention the chunk 'maps'"):
        read_nerv(tool.make_box(header, chunks | {"maps": maps}))
