"""The outer box: it is safetensors, and everything crooked is refused before safetensors would see it."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from nervplay.bitstream import FORMAT, VERSION, encode_nerv, peek_nerv, read_nerv
from nervplay.errors import BitstreamError, VersionError


def test_safetensors_opens_it(tool: SimpleNamespace, small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(small)
    chunks = tool.take_box(small)[1]
    loaded = safetensors.numpy.load_file(path)
    assert loaded.keys() == chunks.keys()
    for name, data in chunks.items():
        assert loaded[name].tobytes() == data
        assert loaded[name].dtype == (np.float32 if name.startswith("f.") else np.uint8)
    with safetensors.safe_open(path, "numpy") as box:
        assert box.metadata()["format"] == FORMAT
        assert box.metadata()["format_version"] == "1.4" == ".".join(map(str, VERSION))
        assert box.get_slice("f.0000.stem.bias").get_shape() == [16]


def test_order_in_the_file(tool: SimpleNamespace) -> None:
    data = encode_nerv(tool.make_file(2))
    names = list(tool.take_box(data)[1])
    assert names == [
        "f.0000.stem.bias", "f.0001.stem.bias", "head.z", "scales", "seg.0000", "seg.0001", "audio", "poster.webp",
    ]  # fmt: skip
    assert struct.unpack_from("<Q", data)[0] % 8 == 0


def entry(name: str, key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(header: dict[str, Any]) -> None:
        header[name][key] = value

    return change


HEADER_CHANGES = [
    entry("seg.0000", "dtype", "F8_E4M3"),
    entry("seg.0000", "dtype", "I8"),
    entry("f.0000.stem.bias", "dtype", "I32"),
    entry("seg.0000", "dtype", 8),
    entry("seg.0000", "shape", [0]),
    entry("seg.0000", "shape", [1, 1]),
    entry("seg.0000", "shape", [-1]),
    entry("seg.0000", "shape", ["1"]),
    entry("seg.0000", "shape", 5),
    entry("f.0000.stem.bias", "shape", [2, 2, 2, 2, 1, 1, 1]),
    entry("f.0000.stem.bias", "shape", [4, 4]),
    entry("seg.0000", "extra", 1),
    entry("seg.0000", "data_offsets", [0, 1]),
    entry("seg.0000", "data_offsets", [10, 5]),
    entry("seg.0000", "data_offsets", [-5, 5]),
    entry("seg.0000", "data_offsets", [0]),
    entry("seg.0000", "data_offsets", None),
    entry("seg.0000", "data_offsets", [0.0, 10.0]),
    lambda header: header.update(more=3),
    lambda header: header.update(more={"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}),
    lambda header: header["seg.0000"].pop("shape"),
    lambda header: header.update({"x y": header.pop("poster.webp")}),
    lambda header: header.update({"": header.pop("poster.webp")}),
    lambda header: header.pop("__metadata__"),
    lambda header: header.update(__metadata__=[]),
    entry("__metadata__", "format", "pt"),
    entry("__metadata__", "format_version", "1"),
    entry("__metadata__", "format_version", "1.x"),
    entry("__metadata__", "format_version", "0.9"),
    entry("__metadata__", "format_version", "1.00000"),
    entry("__metadata__", "format_version", "1.²"),
    entry("__metadata__", "format_version", 1.0),
    entry("__metadata__", "note", 5),
    entry("__metadata__", "note", "n" * (300 << 10)),
    entry("__metadata__", "crc32", ""),
    entry("__metadata__", "crc32", "{}"),
    entry("__metadata__", "crc32", "[]"),
    lambda header: header["__metadata__"].pop("crc32"),
    lambda header: header["__metadata__"].update(crc32=header["__metadata__"]["crc32"][:-1] + ',"no.such":1}'),
    lambda header: header["__metadata__"].update(crc32=header["__metadata__"]["crc32"].replace(":", ":0.", 1)),
    lambda header: header["__metadata__"].update(crc32=header["__metadata__"]["crc32"].replace(":", ":-", 1)),
]


@pytest.mark.parametrize("change", HEADER_CHANGES)
def test_crooked_headers(small: bytes, tool: SimpleNamespace, change: Callable[[dict[str, Any]], None]) -> None:
    (length,) = struct.unpack_from("<Q", small)
    header = json.loads(small[8 : 8 + length])
    change(header)
    with pytest.raises(BitstreamError) as caught:
        read_nerv(tool.box_of(json.dumps(header).encode(), small[8 + length :]))
    assert not isinstance(caught.value, VersionError)


@pytest.mark.parametrize(
    ("shape", "data"), [([1] * 7, b"x"), ([True], b"x"), ([0], b""), ([1, 0], b""), ([1.0], b"x"), ([2], b"x")]
)
def test_shapes_are_checked_in_chunks_that_nobody_reads(
    small: bytes, tool: SimpleNamespace, shape: list[Any], data: bytes
) -> None:
    header, chunks = tool.take_box(small)
    header["x.a"] = {"dtype": "I8", "shape": [1]}
    read_nerv(tool.make_box(header, chunks | {"x.a": b"x"}))
    header["x.a"]["shape"] = shape
    with pytest.raises(BitstreamError, match=r"the chunk 'x\.a'"):
        peek_nerv(tool.make_box(header, chunks | {"x.a": data}))


def shifted(small: bytes, tool: SimpleNamespace, by: int, payload: Callable[[bytes], bytes]) -> bytes:
    """The file with the offsets of `seg.0000` and all chunks behind it moved by `by`."""
    (length,) = struct.unpack_from("<Q", small)
    header = json.loads(small[8 : 8 + length])
    start = header["seg.0000"]["data_offsets"][0]
    for name, place in header.items():
        if name != "__metadata__" and place["data_offsets"][0] >= start:
            place["data_offsets"] = [offset + by for offset in place["data_offsets"]]
    return bytes(tool.box_of(json.dumps(header).encode(), payload(small[8 + length :])))


@pytest.mark.parametrize(
    ("by", "payload", "message"),
    [
        (-1, lambda p: p[:-1], "overlap or leave a hole"),
        (1, lambda p: p + b"\0", "overlap or leave a hole"),
        (0, lambda p: p + b"\0", "truncated or too long"),
        (0, lambda p: p[:-1], "truncated or too long"),
    ],
)
def test_overlap_hole_trailing_and_missing_bytes(
    small: bytes, tool: SimpleNamespace, by: int, payload: Callable[[bytes], bytes], message: str
) -> None:
    with pytest.raises(BitstreamError, match=message):
        peek_nerv(shifted(small, tool, by, payload))


def test_versions_and_sections(small: bytes, tool: SimpleNamespace) -> None:
    header, chunks = tool.take_box(small)
    for version, readable in (("1.0", True), ("1.1", True), ("1.9999", True), ("2.0", False), ("9999.0", False)):
        header["__metadata__"]["format_version"] = version
        data = tool.make_box(header, chunks)
        if readable:
            assert peek_nerv(data).version == tuple(map(int, version.split(".")))
            assert tool.same_content(read_nerv(data), read_nerv(small))
        else:
            with pytest.raises(VersionError, match=rf"format version {version}.*update: pip install -U nervplay"):
                read_nerv(data)
    header["__metadata__"]["format_version"] = "1.0"
    assert tool.same_content(read_nerv(tool.make_box(header, chunks | {"x.anything": b"?"})), read_nerv(small))
    with pytest.raises(VersionError, match=r"section 'depth'.*newer nervplay"):
        peek_nerv(tool.make_box(header, chunks | {"depth": b"?"}))


def test_newer_major_is_told_even_when_the_rest_is_unknown(tool: SimpleNamespace) -> None:
    header = {"__metadata__": {"format": "nervplay", "format_version": "2.0"}, "a b": {"new": 1}}
    with pytest.raises(VersionError):
        peek_nerv(tool.box_of(json.dumps(header).encode()))


@pytest.mark.parametrize("name", ["head.z", "scales", "seg.0000", "f.0000.stem.bias", "audio"])
def test_missing_chunks_are_named(small: bytes, tool: SimpleNamespace, name: str) -> None:
    header, chunks = tool.take_box(small)
    del header[name], chunks[name]
    with pytest.raises(BitstreamError, match=f"'{name}' is missing"):
        peek_nerv(tool.make_box(header, chunks))


@pytest.mark.parametrize("name", ["seg.0001", "f.0000.more", "f.0001.stem.bias", "seg.0000.x"])
def test_chunks_without_mention_are_named(small: bytes, tool: SimpleNamespace, name: str) -> None:
    header, chunks = tool.take_box(small)
    with pytest.raises(BitstreamError, match=f"does not mention the chunk '{name}'"):
        peek_nerv(tool.make_box(header, chunks | {name: b"?"}))


def test_altered_chunks_are_named(small: bytes, tool: SimpleNamespace) -> None:
    header, chunks = tool.take_box(small)
    for name, data in chunks.items():
        altered = dict(chunks) | {name: bytes([data[0] ^ 1]) + data[1:]}
        with pytest.raises(BitstreamError, match=rf"'{name}' was altered .*; the file is damaged, copy or download it"):
            read_nerv(tool.make_box(header, altered, repair=False))


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 9, b"PK\x03\x04" + bytes(60), bytes(100), b"\x02" + bytes(7) + b"{}", b"\x02" + bytes(7) + b"[]"],
)
def test_other_files_are_not_nerv_files(data: bytes) -> None:
    with pytest.raises(BitstreamError, match=r"not a \.nerv file"):
        read_nerv(data)


def test_other_safetensors_files_are_not_nerv_files() -> None:
    data = safetensors.numpy.save({"w": np.zeros(3, np.float32)}, metadata={"format": "pt"})
    with pytest.raises(BitstreamError, match=r"not a \.nerv file: a safetensors file without the format 'nervplay'"):
        peek_nerv(data)
