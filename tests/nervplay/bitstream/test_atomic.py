"""Targets are there whole or not at all, and what goes wrong is told in one line."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nervplay.bitstream import atomic_write, clear_leftovers, folder_beside, replacing
from nervplay.errors import OutputError, OutputExistsError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_write_and_replace(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    atomic_write(path, b"one")
    with pytest.raises(OutputExistsError) as caught:
        atomic_write(str(path), b"two")
    assert str(caught.value) == f"{path} exists; pass --overwrite to replace it"
    assert path.read_bytes() == b"one"
    atomic_write(path, b"two", overwrite=True)
    assert path.read_bytes() == b"two"
    assert names(tmp_path) == ["out.bin"]


def test_rights_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_the_temporary_file_lies_beside_with_the_same_suffix(tmp_path: Path) -> None:
    with replacing(tmp_path / ("long" * 60 + ".mp4"), overwrite=False) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".mp4"
        assert temporary.read_bytes() == b""
        temporary.write_bytes(b"x")
    assert [path.suffix for path in tmp_path.iterdir()] == [".mp4"]


def test_a_relative_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    atomic_write("a.bin", b"x")
    assert (tmp_path / "a.bin").read_bytes() == b"x"


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_a_failure_leaves_nothing_behind(tmp_path: Path, failure: type[BaseException]) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def write() -> None:
        with replacing(tmp_path / "a", overwrite=True) as temporary:
            temporary.write_bytes(b"half")
            raise failure

    with pytest.raises(failure):
        write()
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_target_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:

    def write() -> None:
        with replacing(tmp_path / "a", overwrite=False) as temporary:
            temporary.write_bytes(b"new")
            (tmp_path / "a").write_bytes(b"someone else's")

    with pytest.raises(OutputExistsError):
        write()
    assert (tmp_path / "a").read_bytes() == b"someone else's"
    assert names(tmp_path) == ["a"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "target")
    atomic_write(tmp_path / "link", b"1")
    atomic_write(tmp_path / "link", b"2", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "target").read_bytes() == b"2"


def test_targets_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for target, message in [
        (tmp_path / "no" / "a", f"the folder {tmp_path / 'no'} does not exist; create it first"),
        (tmp_path / "file" / "a", f"the folder {tmp_path / 'file'} does not exist; create it first"),
        (tmp_path, f"{tmp_path} is a folder; give the name of a file in it"),
        (tmp_path / "pipe", f"{tmp_path / 'pipe'} is not a regular file; give another name"),
    ]:
        with pytest.raises(OutputError) as caught:
            atomic_write(target, b"x", overwrite=True)
        assert str(caught.value) == message


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="choose another place"):
        atomic_write(tmp_path / ("n" * 300), b"x")
    assert names(tmp_path) == []


def test_a_read_only_folder(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    # The superuser may write everywhere but where the file system itself takes no new files.
    locked = Path("/proc/sys/kernel") if os.geteuid() == 0 else folder
    with pytest.raises(OutputError, match="was not written: ") as caught:
        atomic_write(locked / "a.nerv", b"x")
    assert str(caught.value).startswith(f"{locked / 'a.nerv'} was not written: ")


FULL = """
import resource, signal, sys
from pathlib import Path
from nervplay.bitstream import atomic_write
from nervplay.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    atomic_write(Path(sys.argv[1]), bytes(1_000_000), overwrite=True)
except OutputError as error:
    print(error)
"""


def test_a_write_that_the_system_cuts_off(tmp_path: Path) -> None:
    """A real write that stops half-way: a process that may not write files of over 100 kB."""
    path = tmp_path / "a.nerv"
    path.write_bytes(b"old")
    shown = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True, check=True)
    assert (
        shown.stdout
        == f"{path} was not written: the file is over the size that is allowed here; make room or choose another disk\n"
    )
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.nerv"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full, the device that is always full, is not here")
def test_a_full_disk(tmp_path: Path) -> None:
    """A real ENOSPC, from the device that is always full."""
    path = tmp_path / "a.nerv"
    with pytest.raises(OutputError) as caught, replacing(path, overwrite=False), Path("/dev/full").open("wb") as full:
        full.write(b"x")
    assert str(caught.value) == f"{path} was not written: the disk is full; make room or choose another disk"
    assert names(tmp_path) == []


def test_errors_of_other_files_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="elsewhere"), replacing(tmp_path / "a", overwrite=False):
        (tmp_path / "elsewhere").read_bytes()
    assert names(tmp_path) == []


KILLED = """
import sys, time
from pathlib import Path
from nervplay.bitstream import replacing
with replacing(Path(sys.argv[1]), overwrite=True) as temporary:
    temporary.write_bytes(b"half")
    print("written", flush=True)
    time.sleep(60)
"""


def test_a_kill_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.nerv"
    path.write_bytes(b"old")
    with subprocess.Popen([sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert path.read_bytes() == b"old"
    (half,) = (name for name in names(tmp_path) if name != "a.nerv")
    (tmp_path / ".nervplay-other.part.nerv").write_bytes(b"of somebody else")
    clear_leftovers(tmp_path / "b.nerv")
    assert half in names(tmp_path), "another target's"
    clear_leftovers(path)
    assert names(tmp_path) == [".nervplay-other.part.nerv", "a.nerv"]
    assert path.read_bytes() == b"old"


def test_what_a_living_writer_has_beside_its_target_is_left_alone(tmp_path: Path) -> None:
    path, clear = tmp_path / "a.png", "from nervplay.bitstream import clear_leftovers as c; c({!r})"
    with replacing(path, overwrite=False) as temporary, folder_beside(path) as folder:
        (folder / "0").touch()
        subprocess.run([sys.executable, "-c", clear.format(str(path))], check=True)
        assert names(tmp_path) == sorted([temporary.name, folder.name])
        shutil.copytree(folder, tmp_path / f"{folder.name}-of-one-that-was-killed")
        clear_leftovers(path)
        assert names(tmp_path) == sorted([temporary.name, folder.name])
    assert names(tmp_path) == ["a.png"]


def test_what_was_taken_for_a_leftover_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(descriptor: int, operation: int) -> None:
        monkeypatch.undo()
        clear_leftovers(tmp_path / "a")
        fcntl.flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with replacing(tmp_path / "a", overwrite=False) as temporary:
        assert names(tmp_path) == [temporary.name]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    contents = [bytes([n]) * (1 << 18) for n in range(4)]
    atomic_write(path, contents[0])
    seen: set[bytes] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.add(path.read_bytes())

    watcher = threading.Thread(target=look)
    watcher.start()
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        for content in contents:
            atomic_write(path, content, overwrite=True)
    stop.set()
    watcher.join()
    assert seen <= set(contents)
    assert len(seen) > 1
