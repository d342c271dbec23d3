"""Writing: the same bytes every time, and nothing that a reader would refuse."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nervplay.bitstream import Audio, NervFile, QuantisedTensor, Segment, encode_nerv, peek_nerv, read_nerv, write_nerv
from nervplay.errors import OutputExistsError, UsageError


def test_deterministic(tool: SimpleNamespace) -> None:
    first = encode_nerv(tool.make_file())
    config = dict(reversed(tool.make_file().config.items()))
    assert first == encode_nerv(tool.make_file()) == encode_nerv(tool.make_file(config=config))


def test_write_returns_the_size_and_keeps_what_is_there(tool: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "a.nerv"
    assert write_nerv(path, tool.make_file()) == path.stat().st_size
    before = path.read_bytes()
    with pytest.raises(OutputExistsError, match="pass --overwrite"):
        write_nerv(path, tool.make_file(2))
    assert path.read_bytes() == before
    write_nerv(path, tool.make_file(2), overwrite=True)
    assert len(read_nerv(path).segments) == 2


def test_a_failure_leaves_the_old_file(tool: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "a.nerv"
    write_nerv(path, tool.make_file())
    before = path.read_bytes()
    with pytest.raises(UsageError):
        write_nerv(path, tool.make_file(recipe={"loss": float("nan")}), overwrite=True)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.nerv"]


def test_memory_order_and_byte_order_do_not_matter(tool: SimpleNamespace) -> None:
    codes = np.arange(60, dtype=np.uint16).reshape(6, 10)
    scale = np.arange(1, 7, dtype=np.float32).reshape(6, 1)
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)

    def network(codes: Any, scale: Any, values: Any) -> NervFile:
        tensors = {"q": QuantisedTensor(codes=codes, bits=9, minimum=-scale, scale=scale), "v": values}
        return replace(tool.make_file(), segments=(Segment(first_frame=0, frame_count=6, tensors=tensors),))

    plain = encode_nerv(network(codes, scale, values))
    odd = network(np.asfortranarray(codes).astype(">u2"), scale.astype(">f4"), np.asfortranarray(values))
    assert encode_nerv(odd) == plain


def quantised(**changes: Any) -> QuantisedTensor:
    fields = {"codes": np.array([1, 2], np.uint8), "bits": 3, "minimum": np.float16(0), "scale": np.float16(1)}
    return QuantisedTensor(**fields | changes)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (quantised(bits=0), "0 bits"),
        (quantised(bits=17), "17 bits"),
        (quantised(codes=np.array([8], np.uint8)), "code 8 of 't' does not fit its 3 bits"),
        (quantised(codes=np.zeros((2, 0), np.uint8)), "every size must be 1"),
        (quantised(codes=np.array([1.0])), "must be uint8 or uint16"),
        (quantised(codes=np.array([1, -1], np.int16)), "must be uint8 or uint16"),
        (quantised(scale=np.ones(2, np.float16)), "same shape"),
        (quantised(scale=np.float32(1)), "same shape and type"),
        (quantised(minimum=np.float64(0), scale=np.float64(1)), "float16 or float32"),
        (quantised(minimum=np.ones(3, np.float16), scale=np.ones(3, np.float16)), "does not fit its shape"),
        (quantised(scale=np.float16(np.nan)), "diverged"),
        (np.zeros(3), "float64; plain tensors are float32"),
        (np.zeros((0, 3), np.float32), "every size must be 1"),
        (np.array([1, np.inf], np.float32), "diverged"),
        (np.zeros((1,) * 7, np.float32), "0 to 6 items"),
    ],
)
def test_tensors_that_the_format_cannot_hold(tool: SimpleNamespace, tensor: Any, message: str) -> None:
    segment = Segment(first_frame=0, frame_count=6, tensors={"t": tensor})
    with pytest.raises(UsageError, match=message):
        encode_nerv(replace(tool.make_file(), segments=(segment,)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: {"segments": ()}, "1 to 65536 items"),
        (lambda f: {"segments": (replace(f.segments[0], frame_count=5),)}, "5 frames, the clip 6"),
        (lambda f: {"segments": (replace(f.segments[0], first_frame=1),)}, "begins at frame 1"),
        (lambda f: {"segments": (replace(f.segments[0], tensors={}),)}, "1 to 65536 items"),
        (lambda f: {"segments": (replace(f.segments[0], tensors={"a b": np.ones(1, np.float32)}),)}, "'a b'"),
        (lambda f: {"architecture": "Ü"}, "architecture.name"),
        (lambda f: {"config_version": True}, "architecture.version"),
        (lambda f: {"config": {"a": {1, 2}}}, "plain JSON"),
        (lambda f: {"recipe": {"text": "x" * (3 << 19)}}, "head is over 10[0-9]{5} bytes"),
        (lambda f: {"video": replace(f.video, width=20000)}, "video.width"),
        (lambda f: {"audio": Audio(data=b"", container="mp4", codec="aac")}, "'audio' has no bytes"),
        (lambda f: {"audio": Audio(data=b"a", container="mp 4", codec="aac")}, "audio.container"),
        (lambda f: {"poster": b""}, "'poster.webp' has no bytes"),
    ],
)
def test_files_that_the_format_cannot_hold(
    tool: SimpleNamespace, change: Callable[[NervFile], dict[str, Any]], message: str
) -> None:
    file = tool.make_file()
    with pytest.raises(UsageError, match=message) as caught:
        encode_nerv(replace(file, **change(file)))
    assert "\n" not in str(caught.value)


def test_many_weights_that_cost_nothing_are_refused(tool: SimpleNamespace) -> None:
    def file(count: int) -> NervFile:
        zeros = quantised(codes=np.zeros(count, np.uint8))
        return replace(
            tool.make_file(audio=None, poster=None),
            segments=(Segment(first_frame=0, frame_count=6, tensors={"zeros": zeros}),),
        )

    assert peek_nerv(encode_nerv(file(4 << 20))).weight_count == 4 << 20
    with pytest.raises(UsageError, match="prune less"):
        encode_nerv(file(5 << 20))


def test_tuples_become_lists_and_names_stay(tool: SimpleNamespace) -> None:
    assert read_nerv(encode_nerv(tool.make_file(config={"a": (1, (2, 3))}))).config == {"a": [1, [2, 3]]}
