"""Building the kernels of fits: whole or not at all, and never needed."""

import shutil
from pathlib import Path

import pytest
import torch

from nervplay.decode.native.build import BuildError
from nervplay.training.native import build, library
from nervplay.training.native.library import Kernels
from nervplay.user_cache import user_cache


def test_a_library_that_is_there_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / build.library_name(build.instruction_set())).write_bytes(b"there")
    monkeypatch.setenv("PATH", "")
    assert build.build(tmp_path).read_bytes() == b"there"
    with pytest.raises(BuildError, match="cannot be loaded"):
        Kernels(build.build(tmp_path))


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="no C compiler"):
        build.build(tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(library._State, "searched", False)
    monkeypatch.setattr(library._State, "found", None)
    assert library.kernels() is None


@pytest.mark.parametrize("text", ['echo "x.c:1: error: no" >&2; exit 1', "exit 1"])
def test_a_compiler_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text(f"#!/bin/sh\n{text}\n")
    compiler.chmod(0o700)
    monkeypatch.setenv("CC", str(compiler))
    with pytest.raises(BuildError, match=r"failed: (x\.c:1: error: no|no message)"):
        build.build(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_name_knows_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for features, expected in (({}, "generic"), ({"avx2": True, "fma3": True}, "avx2")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda it=features: it)
        assert build.instruction_set() == expected
        names.add(build.library_name(expected))
    assert len(names) == 2


def test_the_instruction_set_of_every_processor_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler is here")
    monkeypatch.setattr(build, "instruction_set", lambda: "generic")
    monkeypatch.setattr(build, "FLAGS", ["-O0" if flag.startswith("-O") else flag for flag in build.FLAGS])  # quickly
    assert Kernels(build.build(tmp_path)).call("nt_abi") == library.ABI


def test_another_interface_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kernels: Kernels,
) -> None:
    monkeypatch.setattr(library, "ABI", library.ABI + 1)
    with pytest.raises(BuildError, match="has interface"):
        Kernels(build.build(user_cache() / "kernels"))
