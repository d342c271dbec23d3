"""A file that was calibrated elsewhere: nothing is found out again, and nothing of it is believed that is not so."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from decoder_networks import SPEC, network

from nervplay.bitstream import Chunk, NervFile, Segment, encode_nerv, read_nerv
from nervplay.bitstream.calibration import decode_calibration
from nervplay.codec import NeuralVideo, pack
from nervplay.codec.unpack import segment_file, unpack
from nervplay.decode import CudaDecoder, Decoder, NativeDecoder, open_decoder
from nervplay.decode.carried import carried_records
from nervplay.decode.cuda.engines import run_torch
from nervplay.decode.loss import need, told
from nervplay.decode.native.library import load
from nervplay.decode.native_decoder import NET_RECORD, RECORD
from nervplay.decode.portable import with_calibration, without_calibration
from nervplay.errors import CapabilityError

VIDEO_DB = 25.0
NAME = "x.int8.0000"


def video_of(file: NervFile) -> NeuralVideo:
    return NeuralVideo(file=file, model=unpack(file), file_bytes=0)


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    """Kernels are built in the user's cache, not in the empty ones of these tests."""
    load()


@pytest.fixture(scope="module")
def plain() -> NervFile:
    return pack(network("hnerv-tiny"), SPEC, recipe=told(VIDEO_DB))


@pytest.fixture(scope="module")
def calibrated(plain: NervFile, tmp_path_factory: pytest.TempPathFactory) -> NervFile:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("elsewhere")))
        return read_nerv(encode_nerv(with_calibration(video_of(plain), threads=1)))


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


Watched = tuple[Decoder, list[int]]


def opened(file: NervFile, backend: str) -> Watched:
    steps: list[int] = []
    decoder = open_decoder(
        video_of(file),
        device="cpu",
        backend=backend,
        precision="int8",
        threads=1,
        progress=lambda a, _: steps.append(a),
    )
    return decoder, steps


def frames(decoder: Decoder) -> list[bytes]:
    with decoder:
        return [decoder.float_frame(i).tobytes() for i in range(len(decoder))]


def test_native_has_the_same_frames_at_once(plain: NervFile, calibrated: NervFile) -> None:
    slow, found = opened(plain, "native")
    fast, nothing = opened(calibrated, "native")
    assert len(found) > 10
    assert nothing == []
    assert slow.arithmetic == fast.arithmetic == "INT16"
    assert frames(fast) == frames(slow)
    again, nothing = opened(calibrated, "native")
    assert nothing == []
    again.close()


def test_a_file_of_version_1_3_needs_no_calibration() -> None:
    file = read_nerv(Path(__file__).resolve().parents[2] / "golden" / "nerv" / "v1" / "calibrated.nerv")
    decoder, steps = opened(file, "native")
    with decoder:
        assert decoder.arithmetic == "INT16"
    assert steps == []


def test_a_file_from_before_there_were_narrow_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = pack(network("snerv-tiny"), SPEC, recipe=told(VIDEO_DB))
    new = with_calibration(video_of(bare), threads=1)
    assert NET_RECORD in carried_records(new)
    with monkeypatch.context() as before:
        before.setattr(NativeDecoder, "record", RECORD)
        old = with_calibration(video_of(bare), threads=1)
    assert RECORD in carried_records(old)
    frames_of, notes = [], []
    for file in (new, old):
        decoder, steps = opened(file, "native")
        notes.append(decoder.backend_note)
        frames_of.append(frames(decoder))
        assert steps == []
    assert "14 to 15-bit" in notes[0]
    assert "times 15-bit" in notes[1]
    assert frames_of[0] != frames_of[1]


def test_maps_of_floats_where_narrow_ones_err_too_much() -> None:
    bare = pack(network("snerv-tiny"), SPEC, recipe=told(85.0))
    decoder, _ = opened(bare, "native")
    assert isinstance(decoder, NativeDecoder)
    with decoder:
        assert "times 15-bit" in decoder.backend_note
        assert " in 0 of" not in decoder.backend_note
        record = decoder.calibration_record()
        assert len(record) > 100
    assert decoder.record == NET_RECORD


def openvino(file: NervFile) -> Watched:
    pytest.importorskip("openvino")
    return opened(file, "openvino")


def triton(file: NervFile) -> Watched:
    steps: list[int] = []
    decoder = CudaDecoder(
        unpack(file), SPEC, device=torch.device("cpu"), precision="int8", engine=run_torch, video_db=VIDEO_DB,
        progress=lambda done, _: steps.append(done), carried=carried_records(file),
    )  # fmt: skip
    return decoder, steps


@pytest.mark.parametrize("engine", [openvino, triton])
def test_w8a8_engines_share_what_the_file_brings(
    engine: Callable[[NervFile], Watched], plain: NervFile, calibrated: NervFile
) -> None:
    fast, nothing = engine(calibrated)
    slow, found = engine(plain)
    assert nothing == []
    assert len(found) > 10
    with fast, slow, open_decoder(video_of(plain), device="cpu", backend="torch") as exact:
        assert "(W8A8) in 0" not in fast.backend_note
        for decoder in (fast, slow):
            errors = [np.square(decoder.float_frame(i) - exact.float_frame(i)).mean() for i in range(len(exact))]
            assert -10 * np.log10(max(errors)) > need(VIDEO_DB).worst - 1


def test_it_is_small_and_named(plain: NervFile, calibrated: NervFile) -> None:
    assert len(encode_nerv(calibrated)) < len(encode_nerv(plain)) + 3000
    assert set(carried_records(calibrated)) == {"w8a16 1", "w8a8 1"}
    assert encode_nerv(without_calibration(calibrated)) == encode_nerv(plain)
    other = Chunk(b"kept")
    both = replace(calibrated, extras={**calibrated.extras, "x.mine": other})
    assert without_calibration(both).extras == {"x.mine": other}


def bent(file: NervFile) -> dict[str, NervFile]:
    """Files whose calibration must not count."""
    data = file.extras[NAME].data
    segment = file.segments[0]
    name, tensor = next((n, t) for n, t in segment.tensors.items() if n.endswith("weight"))
    changed = replace(tensor, codes=tensor.codes ^ 1)
    foreign = replace(segment, tensors={**segment.tensors, name: changed})
    silent = decode_calibration(data, bytes(16).hex()) or data[:16]
    return {
        "other weights": replace(file, segments=(foreign,)),
        "cut": replace(file, extras={NAME: Chunk(data[:-3])}),
        "noise": replace(file, extras={NAME: Chunk(data[:16] + bytes(range(64)))}),
        "a record of noise": replace(file, extras={NAME: Chunk(data[:30] + bytes(40) + data[70:])}),
        "empty": replace(file, extras={NAME: Chunk(silent)}),
    }


@pytest.mark.parametrize("case", ["other weights", "cut", "noise", "a record of noise", "empty"])
def test_what_is_damaged_or_foreign_is_found_anew(case: str, calibrated: NervFile) -> None:
    file = read_nerv(encode_nerv(bent(calibrated)[case]))
    assert NAME in file.extras
    decoder, steps = opened(file, "native")
    assert steps[-1] > 10
    fresh, _ = opened(without_calibration(file), "native")
    assert frames(decoder) == frames(fresh)


def test_each_segment_has_its_own(plain: NervFile) -> None:
    first, other = plain.segments[0], pack(network("hnerv-tiny"), SPEC).segments[0]
    flipped = {
        name: replace(tensor, codes=tensor.codes[::-1].copy()) if tensor.shape else tensor
        for name, tensor in other.tensors.items()
    }
    count = SPEC.frame_count
    second = Segment(first_frame=count, frame_count=count, tensors=flipped)
    long = replace(plain, video=replace(SPEC, frame_count=2 * count), segments=(first, second),
                   config={**plain.config, "frame_count": 2 * count})  # fmt: skip
    whole = read_nerv(encode_nerv(with_calibration(video_of(long), threads=1)))
    assert set(whole.extras) == {"x.int8.0000", "x.int8.0001"}
    parts = [segment_file(whole, number) for number in range(2)]
    assert all(set(part.extras) == {NAME} for part in parts)
    records = [carried_records(part) for part in parts]
    assert records[0]["w8a16 1"] != records[1]["w8a16 1"]
    swapped = replace(parts[0], extras=parts[1].extras)
    assert carried_records(swapped) == {}


def test_a_network_without_integers_has_nothing_to_find() -> None:
    file = pack(network("ffnerv-tiny"), SPEC)
    with pytest.raises(CapabilityError, match="nothing to calibrate here: "):
        with_calibration(video_of(file))
