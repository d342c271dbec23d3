"""Reading: round trips, what `peek` says, and what a user reads about files that cannot be read."""

import builtins
import dataclasses
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nervplay.bitstream import Chunk, NervFile, Segment, encode_nerv, peek_nerv, read_nerv, write_nerv
from nervplay.errors import BitstreamError, MissingInputError, UsageError, VersionError


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_network_comes_back(tool: SimpleNamespace, data: st.DataObject) -> None:
    names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
    segments, first = [], 0
    for _ in range(data.draw(st.integers(1, 3))):
        count = data.draw(st.integers(1, 9))
        tensors = data.draw(st.dictionaries(names, tool.tensors(), min_size=1, max_size=4))
        segments.append(Segment(first_frame=first, frame_count=count, tensors=tensors))
        first += count
    base = tool.make_file(audio=None, poster=data.draw(st.none() | st.binary(min_size=1)))
    video = type(base.video)(width=3, height=5, frame_count=first, rate=base.video.rate)
    file = NervFile(**vars(base) | {"segments": tuple(segments), "video": video})
    encoded = encode_nerv(file)
    decoded = read_nerv(encoded)
    assert tool.same_content(decoded, file)
    assert [list(s.tensors) for s in decoded.segments] == [list(s.tensors) for s in segments], "order is kept"
    assert encode_nerv(decoded) == encoded


def test_decoded_arrays_are_the_callers(small: bytes) -> None:
    for tensor in read_nerv(small).segments[0].tensors.values():
        array = tensor if isinstance(tensor, np.ndarray) else tensor.codes
        array[...] = 1
        if not isinstance(tensor, np.ndarray):
            assert tensor.minimum.dtype.isnative


def test_peek(tool: SimpleNamespace, tmp_path: Path) -> None:
    file = tool.make_file()
    size = write_nerv(tmp_path / "a.nerv", file)
    header = peek_nerv(tmp_path / "a.nerv")
    for name in ("video", "architecture", "config_version", "config", "source", "recipe"):
        assert getattr(header, name) == getattr(file, name)
    assert (header.audio_container, header.audio_codec) == ("mp4", "aac")
    assert header.file_bytes == size == (tmp_path / "a.nerv").stat().st_size
    assert sum(header.section_bytes.values()) == size
    assert header.section_bytes["audio"] == 45
    assert header.section_bytes["poster"] == 12
    assert header.section_bytes["scales"] == 4 * (16 + 6 + 1 + 40) + 8
    assert min(header.section_bytes[key] for key in ("weights", "head", "container")) > 0
    assert header.writer.startswith("nervplay ")
    assert header.weight_count == sum(np.prod(t.shape) for t in file.segments[0].tensors.values())
    table = {t.name: (t.shape, t.bits) for t in header.segments[0].tensors}
    assert table["stem.weight"] == ((16, 8, 3, 3), 8)
    assert table["stem.bias"] == ((16,), 32)
    silent = peek_nerv(encode_nerv(tool.make_file(audio=None, poster=None)))
    assert (silent.audio_container, silent.audio_codec, silent.section_bytes["poster"]) == (None, None, 0)


def test_peek_reads_header_and_head_only(tool: SimpleNamespace, tmp_path: Path) -> None:
    data = encode_nerv(tool.make_file())
    spoiled = data.replace(b"sound" * 9, b"noise" * 9)
    path = tmp_path / "a.nerv"
    path.write_bytes(spoiled)
    assert peek_nerv(path).architecture == "hnerv"
    with pytest.raises(BitstreamError, match=r"a\.nerv: the chunk 'audio' was altered"):
        read_nerv(path)


def test_ignored_sections_count_as_other(tool: SimpleNamespace, small: bytes) -> None:
    header, chunks = tool.take_box(small)
    sizes = peek_nerv(tool.make_box(header, chunks | {"x.note": b"12345"})).section_bytes
    assert sizes["other"] == 5


def test_calibrations_are_named(tool: SimpleNamespace, small: bytes) -> None:
    header, chunks = tool.take_box(small)
    sizes = peek_nerv(tool.make_box(header, chunks | {"x.int8.0000": b"12345", "x.int8.0001": b"6"})).section_bytes
    assert (sizes["int8"], sizes["other"]) == (6, 0)


def test_chunks_that_nobody_knows_are_carried(tool: SimpleNamespace, small: bytes) -> None:
    header, chunks = tool.take_box(small)
    header["x.floats"] = {"dtype": "F32", "shape": [2, 1]}
    more = chunks | {"x.floats": bytes(8), "x.note": b"12345"}
    file = read_nerv(tool.make_box(header, more))
    assert file.extras == {"x.floats": Chunk(bytes(8), "F32", (2, 1)), "x.note": Chunk(b"12345")}
    assert read_nerv(encode_nerv(file)).extras == file.extras
    for name in ("note", "x. y", "x." + "n" * 300):
        with pytest.raises(UsageError, match="cannot ride along"):
            encode_nerv(dataclasses.replace(file, extras={name: Chunk(b"1")}))
    with pytest.raises(UsageError, match="cannot ride along"):
        encode_nerv(dataclasses.replace(file, extras={"x.note": Chunk(b"")}))


def test_a_damaged_extra_is_none(tool: SimpleNamespace, small: bytes) -> None:
    header, chunks = tool.take_box(small)
    data = tool.make_box(header, chunks | {"x.note": b"a rare text"})
    assert set(read_nerv(data).extras) == {"x.note"}
    assert read_nerv(data.replace(b"a rare text", b"another one")).extras == {}


def test_what_a_user_reads(tmp_path: Path, small: bytes, tool: SimpleNamespace) -> None:
    def message(kind: type[Exception], source: Path | str | bytes) -> str:
        texts = set()
        for read in (read_nerv, peek_nerv):
            with pytest.raises(kind) as caught:
                read(source)
            assert type(caught.value) is kind
            texts.add(str(caught.value))
        assert len(texts) == 1
        text = texts.pop()
        assert "\n" not in text
        return text

    missing = tmp_path / "no.nerv"
    assert message(MissingInputError, missing) == f"{missing} does not exist; check the path"
    (tmp_path / "file").touch()
    assert "does not exist" in message(MissingInputError, tmp_path / "file" / "in.nerv")
    assert message(MissingInputError, tmp_path) == f"{tmp_path} is a folder; give a .nerv file in it"
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    assert "not a regular file" in message(MissingInputError, str(fifo))

    clip = tmp_path / "clip.nerv"
    clip.write_bytes(small[:-1])
    expected = f"{clip}: the file is truncated or too long: its chunks end at {len(small)}, it ends at {len(small) - 1}"
    assert message(BitstreamError, clip).startswith(expected)
    header, chunks = tool.take_box(small)
    header["__metadata__"]["format_version"] = "3.0"
    expected = "these bytes: format version 3.0; this nervplay reads 1.x: made by a newer nervplay; update: pip"
    assert message(VersionError, tool.make_box(header, chunks)).startswith(expected)


def test_an_unreadable_disk(tmp_path: Path, small: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """No portable way to break a disk: the system call is made to fail."""
    path = tmp_path / "a.nerv"
    path.write_bytes(small)

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(builtins, "open", fail)
    monkeypatch.setattr("io.open", fail)
    with pytest.raises(MissingInputError, match=r"cannot be read \(Input/output error\)"):
        read_nerv(path)


def test_scales_that_lead_nowhere(tool: SimpleNamespace, small: bytes) -> None:
    header, chunks = tool.take_box(small)
    for position, value in ((0, np.float16(np.nan)), (32, np.float16(np.inf))):  # minimum, scale of the first tensor
        scales = bytearray(chunks["scales"])
        scales[position : position + 2] = value.tobytes()
        with pytest.raises(BitstreamError, match=r"'stem\.weight' lead outside"):
            read_nerv(tool.make_box(header, chunks | {"scales": bytes(scales)}))
    for scales in (chunks["scales"][:-2], chunks["scales"] + b"\0\0"):
        with pytest.raises(BitstreamError, match="the chunk 'scales'"):
            read_nerv(tool.make_box(header, chunks | {"scales": scales}))


def test_floats_that_are_none(tool: SimpleNamespace, small: bytes) -> None:
    header, chunks = tool.take_box(small)
    for value in (np.nan, -np.inf):
        values = np.frombuffer(chunks["f.0000.stem.bias"], "<f4").copy()
        values[3] = value
        with pytest.raises(BitstreamError, match=r"'f\.0000\.stem\.bias' has values that are not finite"):
            read_nerv(tool.make_box(header, chunks | {"f.0000.stem.bias": values.tobytes()}))


def test_one_scale_in_another_place_changes_the_hash(tool: SimpleNamespace, small: bytes) -> None:
    header, chunks = tool.take_box(small)
    scales = chunks["scales"]
    swapped = scales[2:4] + scales[:2] + scales[4:]
    with pytest.raises(BitstreamError, match="hash"):
        read_nerv(tool.make_box(header, chunks | {"scales": swapped}))
