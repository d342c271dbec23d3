"""Building the library: whole or not at all, and never needed."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nervplay.decode.native import build, library
from nervplay.errors import CapabilityError


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not looked for the library yet."""
    monkeypatch.setattr(library._State, "library", None)
    monkeypatch.setattr(library._State, "reason", None)


def script(folder: Path, text: str) -> str:
    path = folder / "cc"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_library_that_is_there_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / build.library_name()).write_bytes(b"there")
    monkeypatch.setenv("PATH", "")
    assert build.build(tmp_path).read_bytes() == b"there"


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(build.BuildError, match="no C compiler"):
        build.build(tmp_path / "cache")


@pytest.mark.parametrize("text", ['echo "x.c:1: error: no" >&2; exit 1', "exit 1"])
def test_a_compiler_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("CC", script(tmp_path, text))
    with pytest.raises(build.BuildError, match=r"failed: (x\.c:1: error: no|no message)"):
        build.build(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_instructions_that_a_compiler_does_not_know_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [
        f'echo "$@" >> {tmp_path}/commands',
        'case "$*" in *-mavxvnni*) echo "error: -mavxvnni?" >&2; exit 1;; esac',
        'while [ "$1" != -o ]; do shift; done; touch "$2"',
    ]
    monkeypatch.setenv("CC", script(tmp_path, "\n".join(lines)))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert build.build(tmp_path / "cache").exists()
    commands = (tmp_path / "commands").read_text()
    assert commands.count("-DNK_ALL=X(avx512)X(avx2)X(generic) ") == len(build.UNITS)
    assert "avxvnni" not in commands.splitlines()[-1], "what is linked"
    assert "without those for avxvnni: the compiler" in caplog.text


def test_the_hash_knows_sources_and_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    before = build.source_hash()
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-O0"))
    assert build.source_hash() != before


@pytest.mark.usefixtures("fresh")
def test_without_a_library_there_is_one_clear_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", script(tmp_path, "exit 1"))
    with pytest.raises(CapabilityError, match=r"not available: the compiler .* use --backend torch"):
        library.load()
    assert "failed" in str(library.why_not())


def test_a_damaged_library_is_made_once_more(tmp_path: Path) -> None:
    path = tmp_path / "library"
    path.write_bytes(b"damaged")

    def make(folder: Path) -> Path:
        if not (folder / "library").exists():
            (folder / "library").write_bytes(b"whole")
        return folder / "library"

    def opened(path: Path) -> bytes:
        if path.read_bytes() != b"whole":
            raise build.BuildError("no")
        return path.read_bytes()

    assert build.open_built(tmp_path, make, opened) == b"whole"


@pytest.mark.usefixtures("fresh")
def test_a_library_that_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler makes what is no library: it is asked twice, and the reason is told."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    note = f'case "$*" in *-shared*) echo once >> {tmp_path}/linked;; esac'
    monkeypatch.setenv("CC", script(tmp_path, note + '; while [ "$1" != -o ]; do shift; done; echo no > "$2"'))
    with pytest.raises(CapabilityError, match="cannot be loaded"):
        library.load()
    assert (tmp_path / "linked").read_text() == "once\n" * 2


def test_nothing_is_compiled_again_where_nothing_may_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file system without that right cannot be mounted by everybody, so the system's answer is replaced."""
    if not hasattr(os, "ST_NOEXEC"):
        pytest.skip("this system does not tell")
    answer, made = os.statvfs(tmp_path), list[Path]()
    without = os.statvfs_result((*answer[:8], answer.f_flag | os.ST_NOEXEC, *answer[9:]))
    monkeypatch.setattr(os, "statvfs", lambda _: without)

    def opened(_: Path) -> None:
        raise build.BuildError("no")

    with pytest.raises(build.BuildError, match="no"):
        build.open_built(tmp_path, lambda folder: made.append(folder) or folder / "library", opened)  # type: ignore[func-returns-value]
    assert made == [tmp_path]


def test_a_damaged_library_that_cannot_be_removed(tmp_path: Path) -> None:
    (tmp_path / "library" / "in it").mkdir(parents=True)

    def opened(_: Path) -> None:
        raise build.BuildError("no")

    with pytest.raises(build.BuildError, match=r"the damaged library .* cannot be removed"):
        build.open_built(tmp_path, lambda folder: folder / "library", opened)


def test_an_instruction_set_that_is_not_here() -> None:
    with pytest.raises(CapabilityError, match="cannot run the 'mmx' kernels"):
        library.kernels("mmx")


def test_the_build_hook_needs_the_standard_library_only() -> None:
    code = "import runpy, sys; runpy.run_path(sys.argv[1]); assert not {'numpy', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-I", "-c", code, str(build.__file__)], check=True, env=dict(os.environ))
