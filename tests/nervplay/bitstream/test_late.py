"""Segments that are decoded when they are asked for: the same weights, few at a time, nothing unchecked."""

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nervplay.bitstream import (
    NervFile,
    Segment,
    encode_nerv,
    late,
    limits,
    peek_nerv,
    read_audio,
    read_nerv,
    reader,
    stored,
    verify_nerv,
    write_nerv,
)
from nervplay.bitstream.segment import RowBudget
from nervplay.errors import BitstreamError, MissingInputError, UsageError

SEGMENTS = 5


@pytest.fixture
def data(tool: SimpleNamespace) -> bytes:
    """A file of five segments, two frames each."""
    file = tool.make_file(SEGMENTS)
    return encode_nerv(file)


@pytest.fixture
def path(data: bytes, tmp_path: Path) -> Path:
    target = tmp_path / "long.nerv"
    target.write_bytes(data)
    return target


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the segments as they are decoded."""
    numbers: list[int] = []
    real = late.decode_tensors

    def counting(box, number, *rest):
        numbers.append(number)
        return real(box, number, *rest)

    monkeypatch.setattr(late, "decode_tensors", counting)
    return numbers


def test_late_is_the_same(tool: SimpleNamespace, data: bytes, path: Path) -> None:
    for source in (data, path):
        assert tool.same_content(read_nerv(source, late=True), read_nerv(source))
        assert tool.same_content(read_nerv(source, late=None), read_nerv(source))
    assert read_audio(path) == read_nerv(path).audio


def test_one_segment_is_read_at_once(tool: SimpleNamespace, decoded: list[int]) -> None:
    read_nerv(encode_nerv(tool.make_file(1)), late=None)
    assert decoded == []


def test_what_is_asked_for_is_decoded(path: Path, decoded: list[int]) -> None:
    segments = read_nerv(path, late=True).segments
    sizes = [[(t.values, t.bits) for t in stored(segment)] for segment in segments]
    assert sizes[0] == [(t.count, t.bits) for t in peek_nerv(path).segments[0].tensors]
    assert [list(segment.tensors) for segment in segments] == [list(s.tensors) for s in read_nerv(path).segments]
    assert "no.such" not in segments[0].tensors
    with pytest.raises(KeyError, match=r"no\.such"):
        segments[0].tensors["no.such"]
    assert decoded == []
    for number in (3, 3, 2, 3, 0, 2, 3):
        assert len(dict(segments[number].tensors.items())) == len(segments[number].tensors)
    assert decoded == [3, 2, 0, 2, 3], "the last two stay"


def test_sizes_of_tensors_in_memory(tool: SimpleNamespace, path: Path) -> None:
    for late_segment, segment in zip(read_nerv(path, late=True).segments, read_nerv(path).segments, strict=True):
        assert list(stored(late_segment)) == list(stored(segment))


def test_writing_what_is_late(path: Path, data: bytes, decoded: list[int], tmp_path: Path) -> None:
    write_nerv(tmp_path / "again.nerv", read_nerv(path, late=True))
    assert (tmp_path / "again.nerv").read_bytes() == data
    assert decoded == list(range(SEGMENTS)), "each once"
    verify_nerv(tmp_path / "again.nerv")


def test_from_several_threads(tool: SimpleNamespace, path: Path) -> None:
    file, whole = read_nerv(path, late=True), read_nerv(path)
    wrong: list[int] = []

    def look(seed: int) -> None:
        for number in np.random.default_rng(seed).integers(0, SEGMENTS, 8):
            one, other = (replace(f, segments=(f.segments[number],)) for f in (file, whole))
            if not tool.same_content(one, other):
                wrong.append(int(number))

    threads = [threading.Thread(target=look, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_altered_segment_is_refused_when_the_file_is_opened(tool: SimpleNamespace, data: bytes, path: Path) -> None:
    place = data.index(tool.take_box(data)[1]["seg.0003"])
    path.write_bytes(data[: place + 9] + bytes([data[place + 9] ^ 1]) + data[place + 10 :])
    with pytest.raises(BitstreamError, match=r"long\.nerv: the chunk 'seg.0003' was altered"):
        read_nerv(path, late=True)


def test_a_wrong_hash_is_found_by_verifying(tool: SimpleNamespace, data: bytes, path: Path) -> None:
    path.write_bytes(tool.change_head(data, lambda head: head.update(weights_sha256="0" * 64)))
    read_nerv(path, late=True)
    for check in (verify_nerv, read_nerv):
        with pytest.raises(BitstreamError, match="do not have the hash"):
            check(path)


def test_a_segment_that_does_not_decode_says_so_in_its_turn(tool: SimpleNamespace, data: bytes, path: Path) -> None:
    header, chunks = tool.take_box(data)
    path.write_bytes(tool.make_box(header, chunks | {"seg.0002": chunks["seg.0002"][:-2]}))
    segments = read_nerv(path, late=True).segments
    dict(segments[1].tensors.items())
    with pytest.raises(BitstreamError, match=r"long\.nerv: .*seg.0002"):
        dict(segments[2].tensors.items())


def test_segments_share_their_decoding_steps(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    real = RowBudget.spend
    monkeypatch.setattr(RowBudget, "spend", lambda self, rows: (steps.append(rows), real(self, rows))[1])
    read_nerv(path)
    monkeypatch.setattr(limits, "MAX_ROWS", sum(steps) * 7 // 10 - path.stat().st_size // 64)
    for read in (read_nerv, verify_nerv):
        with pytest.raises(BitstreamError, match="decoding steps"):
            read(path)
    segments = read_nerv(path, late=True).segments
    for number in (0, 1, 2, 0, 1, 2):  # what was decoded before takes none
        assert segments[number].tensors["one"]


def test_another_file_in_its_place(path: Path, tmp_path: Path) -> None:
    segments = read_nerv(path, late=True).segments
    dict(segments[0].tensors.items())
    write_nerv(path, read_nerv(path), overwrite=True)
    assert len(dict(segments[0].tensors.items())) == len(segments[0].tensors), "it is at hand"
    with pytest.raises(BitstreamError, match="was replaced while it was in use; open it again"):
        dict(segments[1].tensors.items())
    path.unlink()
    with pytest.raises(MissingInputError, match="does not exist"):
        dict(segments[1].tensors.items())


def test_more_weights_than_are_decoded_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most = sum(tensor.values for tensor in stored(read_nerv(path).segments[0]))
    monkeypatch.setattr(reader, "MAX_WEIGHTS", most)
    with pytest.raises(BitstreamError, match="that are decoded at once; read them late"):
        read_nerv(path)
    verify_nerv(path)


def many(tool: SimpleNamespace, segments: int, tensors: int) -> NervFile:
    """A clip of two frames a segment, with plain tensors of one value, which cost no time to code."""
    file = tool.make_file(1)
    values = {f"t{n}": np.full(1, n, np.float32) for n in range(tensors)}
    parts = tuple(Segment(first_frame=2 * n, frame_count=2, tensors=values) for n in range(segments))
    return replace(file, video=replace(file.video, frame_count=2 * segments), segments=parts)


def test_a_clip_of_many_segments(tool: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "hours.nerv"
    size = write_nerv(path, many(tool, 550, 8))
    assert size == path.stat().st_size
    assert len(peek_nerv(path).segments) == 550
    assert read_nerv(path, late=True).segments[-1].tensors["t7"] == 7


def test_too_many_chunks_are_refused_before_a_reader_does(tool: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"8003 chunks and 8000 tensors in .* cut the clip into fewer segments"):
        write_nerv(tmp_path / "many.nerv", many(tool, 20, 400))
    assert not list(tmp_path.iterdir())
