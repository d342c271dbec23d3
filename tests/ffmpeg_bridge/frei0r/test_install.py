"""Building with the compilers that are here, and the words where none is."""

import platform
import shutil
import subprocess
import sys

import pytest

from ffmpeg_bridge.frei0r import install
from ffmpeg_bridge.frei0r.install import install_plugins, plugin_folder
from nervplay.errors import CapabilityError, OutputError


def test_both_are_built_and_replaced_whole(plugins, tmp_path):
    report = install_plugins(tmp_path / "new" / "folder")
    assert sorted(path.name for path in report.folder.iterdir()) == ["nerv.conf", "nerv.so", "nervcmp.so"]
    assert (report.folder / "nerv.conf").read_text() == f"python={sys.executable}\n"
    (report.folder / "nerv.so").write_text("old")
    install_plugins(report.folder)
    assert (report.folder / "nerv.so").read_bytes()[:4] == b"\x7fELF"
    assert len(list(report.folder.iterdir())) == 3


def test_the_source_compiles_without_a_warning(plugins, tmp_path):
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    for role in (0, 1):
        flags = ["-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Wconversion", "-Wno-sign-conversion", "-Werror"]
        command = [
            compiler,
            *flags,
            f"-DNERV_SOURCE={role}",
            str(install._SOURCE),
            "-o",
            str(tmp_path / "x.so"),
            "-ldl",
        ]
        assert subprocess.run(command, capture_output=True, text=True, check=False).stderr == ""


def test_only_the_functions_of_the_interface_are_seen(plugins):
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("nm is not installed (apt-get install binutils)")
    listed = subprocess.run(
        [nm, "-D", "--defined-only", plugins / "nerv.so"], capture_output=True, text=True, check=True
    ).stdout
    names = [line.split()[-1] for line in listed.splitlines()]
    assert names
    assert all(name.startswith("f0r_") for name in names)


def test_zig_where_there_is_no_compiler(monkeypatch):
    monkeypatch.setenv("PATH", "/none")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: name == "ziglang")
    assert list(install._compilers()) == [[sys.executable, "-m", "ziglang", "cc"]]


def test_without_any_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/none")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CapabilityError, match=r"no C compiler here.*nervplay ffmpeg -i clip.nerv"):
        install_plugins(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_compiler_that_fails_is_passed_over(plugins, monkeypatch, tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'no headers' >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    assert install_plugins(tmp_path / "a").made_by != str(broken)
    monkeypatch.setattr(install, "_compilers", lambda: iter([[str(broken)]]))
    with pytest.raises(CapabilityError, match=r"does not compile here \(no headers\)"):
        install_plugins(tmp_path / "b")


def test_prebuilt_libraries_are_taken_first(monkeypatch, tmp_path):
    machine = f"{platform.system()}-{platform.machine()}".lower()
    (tmp_path / "prebuilt" / machine).mkdir(parents=True)
    for name in install.PLUGINS:
        (tmp_path / "prebuilt" / machine / f"{name}.so").write_bytes(name.encode())
    monkeypatch.setattr(install, "_PREBUILT", tmp_path / "prebuilt")
    report = install_plugins(tmp_path / "lib")
    assert report.made_by == "prebuilt"
    assert (report.folder / "nervcmp.so").read_bytes() == b"nervcmp"


def test_folders(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert plugin_folder() == tmp_path / ".frei0r-1" / "lib"
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be made"):
        install_plugins(tmp_path / "file" / "folder")
    monkeypatch.setattr(install.platform, "system", lambda: "Windows")
    with pytest.raises(CapabilityError, match="Linux and macOS"):
        install_plugins(tmp_path)
