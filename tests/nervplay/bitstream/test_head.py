"""The head: every value is checked, in the file and before it is written."""

import json
import zlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from nervplay.bitstream import encode_nerv, peek_nerv, read_nerv
from nervplay.bitstream.head import unpack_head
from nervplay.bitstream.limits import allowance
from nervplay.errors import BitstreamError, VersionError

Change = Callable[[dict[str, Any]], Any]


def put(*path: str | int, value: Any) -> Change:
    """A change that sets the item at `path`."""

    def change(head: dict[str, Any]) -> None:
        target: Any = head
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = value

    return change


FIRST = ("segments", 0, "tensors", 0)  # stem.weight: 8 bits, shape 16 x 8 x 3 x 3, scale 16 x 1 x 1 x 1, float16
FLOAT = ("segments", 0, "tensors", 1)  # stem.bias: float32

REFUSED: list[Change] = [
    put("video", "width", value=16385),
    put("video", "width", value=0),
    put("video", "width", value=-64),
    put("video", "height", value=True),
    put("video", "height", value=36.0),
    put("video", "frame_count", value=10_000_001),
    put("video", "frame_count", value=7),
    put("video", "rate", value=[1001, 1]),
    put("video", "rate", value=[25, 0]),
    put("video", "rate", value=[-25, 1]),
    put("video", "rate", value=[25]),
    put("video", "rate", value="25/1"),
    put("video", "sample_aspect", value=[1, 1001]),
    put("video", "sample_aspect", value=[1001, 1]),
    put("video", "colour", value=None),
    put("video", "colour", value={"matrix": "bt709"}),
    put("video", "colour", "range", value="tv\n"),
    put("video", value=[]),
    put("architecture", "name", value="../x"),
    put("architecture", "name", value=""),
    put("architecture", "version", value=-1),
    put("architecture", "config", value=[]),
    put("segments", value=[]),
    put("segments", value={}),
    put("segments", 0, "first_frame", value=1),
    put("segments", 0, "frame_count", value=5),
    put("segments", 0, "tensors", value=[]),
    put(*FIRST, "name", value="stem.bias"),
    put(*FIRST, "name", value="with blank"),
    put(*FIRST, "name", value="ü"),
    put(*FIRST, "name", value="n" * 201),
    put(*FIRST, "name", value=3),
    put(*FIRST, "shape", value=[16, 8, 9]),
    put(*FIRST, "shape", value=[16, 8, 3, 0]),
    put(*FIRST, "shape", value=[1] * 7),
    put(*FIRST, "shape", value=[16, 8, 3, 4]),
    put(*FIRST, "shape", value=[2**40]),
    put(*FIRST, "bits", value=0),
    put(*FIRST, "bits", value=7),
    put(*FIRST, "bits", value=17),
    put(*FIRST, "bits", value=31),
    put(*FIRST, "bits", value=32),
    put(*FIRST, "scale_shape", value=[16]),
    put(*FIRST, "scale_shape", value=[8, 1, 1, 1]),
    put(*FIRST, "scale_shape", value=None),
    put(*FIRST, "scale_dtype", value="F64"),
    put(*FIRST, "scale_dtype", value="F32"),
    put(*FIRST, "scale_dtype", value=None),
    put(*FIRST, "model", value=None),
    put(*FIRST, "model", value="Laplace"),
    put(*FLOAT, "shape", value=[4, 4]),
    put(*FLOAT, "model", value="uniform"),
    put(*FLOAT, "scale_dtype", value="F32"),
    put(*FLOAT, "name", value="renamed"),
    put("weights_sha256", value="0" * 64),
    put("weights_sha256", value="x"),
    put("source", value=None),
    put("recipe", value=3),
    put("audio", value=None),
    put("audio", value={"container": "mp4"}),
    put("audio", "codec", value="a/b"),
    put("writer", value=""),
    put("writer", value="a\nb"),
    lambda head: head.pop("recipe"),
    lambda head: head.pop("audio"),
    lambda head: head["video"].pop("colour"),
    lambda head: head["segments"][0]["tensors"].reverse(),
    lambda head: head["segments"].append(head["segments"][0]),
    lambda head: head["segments"][0]["tensors"].extend(head["segments"][0]["tensors"] * 800),
]


@pytest.mark.parametrize("change", REFUSED)
def test_refused(tool: SimpleNamespace, small: bytes, change: Change) -> None:
    with pytest.raises(BitstreamError) as caught:
        read_nerv(tool.change_head(small, change))
    assert not isinstance(caught.value, VersionError)
    assert "\n" not in str(caught.value)


def test_accepted(tool: SimpleNamespace, small: bytes) -> None:
    def change(head: dict[str, Any]) -> None:
        head["architecture"] |= {"name": "network-of-2031", "more": 1}
        head["video"] |= {"rate": [1000, 1], "width": 16384, "height": 4096, "more": None}
        head["later"] = [[[[1]]]]
        head["segments"][0]["tensors"][0]["later"] = "x"

    changed = tool.change_head(small, change)
    assert read_nerv(changed).architecture == "network-of-2031"
    assert peek_nerv(changed).video.width == 16384


def test_an_unknown_model_means_update(tool: SimpleNamespace, small: bytes) -> None:
    with pytest.raises(VersionError, match="newer nervplay; update: pip install -U nervplay"):
        read_nerv(tool.change_head(small, put(*FIRST, "model", value="ggd")))


def test_pictures_over_the_limit_name_it(tool: SimpleNamespace, small: bytes) -> None:
    def change(head: dict[str, Any]) -> None:
        head["video"] |= {"width": 16384, "height": 16384}

    with pytest.raises(BitstreamError, match="16384x16384 are over 67108864 pixels"):
        peek_nerv(tool.change_head(small, change))


def test_streams_that_do_not_end_with_the_chunk(tool: SimpleNamespace, small: bytes) -> None:
    packed = tool.take_box(small)[1]["head.z"]
    unpack_head(packed, allowance(0))
    for bad in (packed + b"\0", packed[:-1], packed[2:], b"", b"not zlib"):
        with pytest.raises(BitstreamError, match="head"):
            unpack_head(bad, allowance(0))


def test_a_name_twice_in_a_segment(tool: SimpleNamespace, small: bytes) -> None:
    with pytest.raises(BitstreamError, match="segment 0 holds a tensor name twice"):
        peek_nerv(tool.change_head(small, put(*FIRST, "name", value="stem.bias")))


def test_tensors_are_counted_over_all_segments(tool: SimpleNamespace) -> None:
    packed = tool.take_box(encode_nerv(tool.make_file(2)))[1]["head.z"]
    head = json.loads(zlib.decompress(packed))
    row = head["segments"][0]["tensors"][1]
    for count, readable in ((2048, True), (2049, False)):
        for segment in head["segments"]:
            segment["tensors"] = [row | {"name": f"t{n}"} for n in range(count)]
        changed = zlib.compress(json.dumps(head).encode())
        if readable:
            assert len(unpack_head(changed, allowance(0)).segments[1].tensors) == count
        else:
            with pytest.raises(BitstreamError, match="4098 tensors are over 4096"):
                unpack_head(changed, allowance(0))


def test_a_bomb_is_not_inflated() -> None:
    with pytest.raises(BitstreamError, match="over 1048576 bytes"):
        unpack_head(zlib.compress(b" " * (50 << 20)), allowance(0))
