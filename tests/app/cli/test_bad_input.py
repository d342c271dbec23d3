"""Bad input: each case is one line that names the value, its own exit code, and nothing that was there is lost."""

import json
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from nervplay.bitstream.layout import VERSION
from nervplay.training import resume_path

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def sound_only(tmp_path: Path) -> Path:
    path = tmp_path / "sound.m4a"
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.fixture
def no_frames(tmp_path: Path) -> Path:
    """A clip that says everything about its frames and has none."""
    path = tmp_path / "empty.y4m"
    path.write_bytes(b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420mpeg2\n")
    return path


def truncated(clip: Path, target: Path) -> Path:
    target.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    return target


def test_sources_that_are_no_clip(
    nervplay, small_clip: Path, sound_only: Path, no_frames: Path, tmp_path: Path
) -> None:
    nonsense, nothing, folder = tmp_path / "nonsense.mp4", tmp_path / "nothing.mp4", tmp_path / "folder"
    nonsense.write_bytes(bytes(range(256)) * 40)
    nothing.touch()
    folder.mkdir()
    target = tmp_path / "a.nerv"
    target.write_bytes(b"old")
    cases = {
        tmp_path / "missing.mp4": "does not exist",
        nonsense: "no readable media file",
        nothing: "no readable media file",
        sound_only: "no video stream",
        no_frames: "no frame",
        truncated(small_clip, tmp_path / "cut.mp4"): "cut short",
        folder: "no ",
    }
    for source, words in cases.items():
        ran = nervplay("encode", source, target, "--preset", "hnerv-tiny", "--overwrite")
        assert (ran.code, ran.out) == (3, ""), (source, ran.err)
        assert words in ran.error, source
        assert source.name in ran.error
        assert target.read_bytes() == b"old"
    assert not list(tmp_path.glob("*.resume")) + list(tmp_path.glob(".nervplay*"))


def test_a_clip_damaged_in_the_middle(nervplay, tmp_path: Path) -> None:
    """Packets that say frames of another size: the container is sound, the pictures are not."""
    path = tmp_path / "damaged.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        rng = np.random.default_rng(1)
        for number in range(4):
            noise = rng.integers(0, 256, (48, 64, 3), np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")):
                if number == 2:
                    broken = av.Packet(b"\xff" * packet.size)
                    broken.stream, broken.pts, broken.dts, broken.time_base = (
                        stream,
                        packet.pts,
                        packet.dts,
                        packet.time_base,
                    )
                    output.mux(broken)
                else:
                    output.mux(packet)
        output.mux(stream.encode(None))
    ran = nervplay("encode", path, tmp_path / "a.nerv", "--preset", "hnerv-tiny")
    assert (ran.code, ran.out) == (3, "")
    assert "damaged.mkv" in ran.error
    assert not (tmp_path / "a.nerv").exists()


def newer(small_nerv: Path, target: Path) -> Path:
    """The same file as a newer nervplay would write it."""
    data = small_nerv.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    major, minor = VERSION
    assert header["__metadata__"]["format_version"] == f"{major}.{minor}"
    header["__metadata__"]["format_version"] = f"{major + 1}.0"
    text = json.dumps(header).encode().ljust(length)
    target.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    return target


COMMANDS = {
    "info": lambda file, out: ("info", file),
    "decode": lambda file, out: ("decode", file, "-o", out / "a.npy"),
    "export": lambda file, out: ("export", file, out / "a.mp4"),
    "pipe": lambda file, out: ("pipe", file),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_nerv_files_that_are_none(nervplay, small_nerv: Path, small_clip: Path, tmp_path: Path, command: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    data = small_nerv.read_bytes()
    files = {name: tmp_path / f"{name}.nerv" for name in ("cut", "tail", "nothing", "future", "other")}
    files["cut"].write_bytes(data[: len(data) // 2])
    files["tail"].write_bytes(data[:-1])
    files["nothing"].touch()
    newer(small_nerv, files["future"])
    save_file({"a": np.zeros(3, np.float32)}, files["other"])
    cases = [(path, "update" if name == "future" else "") for name, path in files.items()]
    cases += [(small_clip, ""), (tmp_path / "missing.nerv", "does not exist")]
    for path, words in cases:
        ran = nervplay(*COMMANDS[command](path, out))
        assert (ran.code, ran.out) == (3, ""), (path, ran.err)
        assert words in ran.error, path
        assert list(out.iterdir()) == []


def test_every_flipped_bit_is_noticed(nervplay, small_nerv: Path, tmp_path: Path) -> None:
    data = bytearray(small_nerv.read_bytes())
    target, out = tmp_path / "a.nerv", tmp_path / "a.npy"
    for place in np.linspace(0, len(data) - 1, 24).astype(int):
        data[place] ^= 16
        target.write_bytes(data)
        data[place] ^= 16
        ran = nervplay("decode", target, "-o", out, "--frames", "0")
        assert (ran.code, ran.out) == (3, ""), (place, ran.err)
        assert ran.error
        assert not out.exists()


def test_text_from_a_file_cannot_steer_the_terminal(nervplay, small_nerv: Path, tmp_path: Path) -> None:
    """A file name and a tensor name with escape sequences, in an error and in a report."""
    evil = tmp_path / "a\x1b[2J.nerv"
    evil.write_bytes(small_nerv.read_bytes()[:99])
    ran = nervplay("info", evil)
    assert ran.code == 3
    assert "\x1b" not in ran.err
    evil.write_bytes(small_nerv.read_bytes())
    assert "\x1b" not in nervplay("info", evil).out
    assert json.loads(nervplay("info", evil, "--json").out)["path"] == str(evil)
    tensors = {"\x1b[2J": np.zeros(1, np.uint8)} | load_file(small_nerv)
    save_file(tensors, evil, {"format": "nervplay", "format_version": "1.0"})
    ran = nervplay("info", evil)
    assert ran.code == 3
    assert "\x1b" not in ran.err


def test_odd_frames_need_another_pixel_format(nervplay, small_clip: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.nerv"
    made = nervplay("encode", small_clip, odd, "--preset", "hnerv-tiny", "--crop", "45x45", "--epochs", "1")
    assert made.code == 0, made.err
    for arguments in (("export", odd, tmp_path / "a.mp4"), ("pipe", odd, "--pix-fmt", "yuv420p")):
        ran = nervplay(*arguments)
        assert (ran.code, ran.out) == (2, "")
        assert "45x45" in ran.error
        assert "yuv444p" in ran.error
    assert not (tmp_path / "a.mp4").exists()
    assert nervplay("export", odd, tmp_path / "a.mp4", "--pix-fmt", "yuv444p").code == 0


TARGETS = {
    "encode": lambda nerv, clip, out: ("encode", clip, out("a.nerv"), "--preset", "hnerv-tiny", "--epochs", "1"),
    "decode": lambda nerv, clip, out: ("decode", nerv, "-o", out("a.npy")),
    "export": lambda nerv, clip, out: ("export", nerv, out("a.mp4")),
    "eval": lambda nerv, clip, out: ("eval", nerv, clip, "--csv", out("a.csv")),
}


@pytest.mark.parametrize("command", TARGETS)
def test_targets_that_cannot_be_written(nervplay, small_nerv: Path, small_clip: Path, tmp_path: Path, command) -> None:
    (tmp_path / "file").write_bytes(b"old")
    folders = [tmp_path / "missing", tmp_path / "file", Path("/proc")]
    for folder in folders:
        ran = nervplay(*TARGETS[command](small_nerv, small_clip, lambda name, folder=folder: folder / name))
        assert (ran.code, ran.out) == (4, ""), ran.err
        assert str(folder) in ran.error
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("command", TARGETS)
def test_existing_targets_ask_for_overwrite(nervplay, small_nerv: Path, small_clip: Path, tmp_path, command) -> None:
    def out(name: str) -> Path:
        path = tmp_path / name
        path.write_bytes(b"old")
        return path

    arguments = TARGETS[command](small_nerv, small_clip, out)
    ran = nervplay(*arguments)
    assert (ran.code, ran.out) == (4, "")
    assert "--overwrite" in ran.error
    (target,) = tmp_path.iterdir()
    assert target.read_bytes() == b"old"
    assert nervplay(*arguments, "--overwrite").code == 0
    assert target.stat().st_size > 100
    assert list(tmp_path.iterdir()) == [target]


@pytest.fixture
def little_room() -> Iterator[None]:
    """A limit on the size of files stands for a full disk: the system refuses bytes in the middle of writing."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("little_room")
@pytest.mark.parametrize("command", ["encode", "decode", "export"])
def test_a_full_disk(nervplay, small_nerv: Path, small_clip: Path, tmp_path: Path, command: str) -> None:
    arguments = TARGETS[command](small_nerv, small_clip, lambda name: tmp_path / name)
    (target,) = (value for value in arguments if isinstance(value, Path) and value.parent == tmp_path)
    target.write_bytes(b"old")
    ran = nervplay(*arguments, "--overwrite")
    assert (ran.code, ran.out) == (4, ""), ran.err
    assert str(target) in ran.error
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_fit_survives_a_target_that_cannot_be_written(
    nervplay, start: Start, small_clip: Path, tmp_path: Path
) -> None:
    """Somebody makes the target while the fit runs: it is not overwritten, and the fit is not lost."""
    target = tmp_path / "a.nerv"
    arguments = ("encode", small_clip, target, "--preset", "hnerv-tiny", "--epochs", "5", "--save-every", "0")
    process = start(*arguments)
    while not resume_path(target).exists():
        assert process.poll() is None
        time.sleep(0.002)
    target.write_bytes(b"theirs")
    _, errors = process.communicate()
    assert process.returncode == 4
    assert "--resume" in errors.decode().splitlines()[-1]
    assert target.read_bytes() == b"theirs"
    target.unlink()
    ran = nervplay(*arguments, "--resume", "--json")
    assert ran.code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.nerv"]
