"""OpenVINO is imported silently, or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nervplay.decode.openvino import runtime
from nervplay.errors import CapabilityError

WATCHED = """
import socket, subprocess, sys, threading

opened = []
sys.addaudithook(lambda event, args: opened.append((event, args)) if event.startswith(WATCH) else None)
from nervplay.decode.openvino.runtime import compiled, has_bfloat16, openvino
import torch
import numpy as np

opened.clear()
ov = openvino()
assert "openvino_telemetry" not in sys.modules, "hidden while OpenVINO was imported, and not left in the way"
x = ov.opset13.parameter([1, 2], np.float32)
model = ov.Model([ov.opset13.relu(x)], [x], "test")
has_bfloat16()
assert compiled(model, 1)([np.array([[-1, 2]], np.float32)])[0].tolist() == [[0, 2]]
for thread in threading.enumerate():
    assert thread is threading.main_thread(), thread
written = [args for event, args in opened if event != "open" or args[1] and set(args[1]) & set("wax+")]
assert not written, written
import openvino_telemetry
print(openvino_telemetry.HERE)
"""


def test_its_telemetry_is_never_imported(tmp_path: Path) -> None:
    package, home = tmp_path / "site" / "openvino_telemetry", tmp_path / "home"
    package.mkdir(parents=True)
    home.mkdir()
    (package / "__init__.py").write_text("HERE = 'imported by the test alone'\nclass Telemetry: ...\n")
    (package / "backend").mkdir()
    (package / "backend" / "__init__.py").write_text("")
    (package / "backend" / "backend_ga4.py").write_text("")
    path = os.pathsep.join([str(tmp_path / "site"), *filter(None, sys.path)])
    watch = "WATCH = ('socket.', 'subprocess.', 'os.system', 'os.exec', 'os.mkdir', 'os.rename', 'open')\n"
    ran = subprocess.run(
        [sys.executable, "-B", "-c", watch + WATCHED],
        env=os.environ | {"PYTHONPATH": path, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "imported by the test alone\n"
    assert list(home.iterdir()) == []


def test_where_products_are_added_in_16_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    for architecture, features, narrow in (
        ("x86_64", {"avx2": True, "avx512_vnni": False}, True),
        ("x86_64", {"avx512_f": True}, True),
        ("x86_64", {"avx512_vnni": True}, False),
        ("x86_64", {"avx_vnni": True}, False),
        ("arm64", {}, False),
    ):
        known = {"architecture": architecture, **features}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda it=known: it)
        assert runtime.sums_in_16_bits() is narrow


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime.openvino.cache_clear()
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(CapabilityError, match=r"needs the package openvino; install it: pip install nervplay\[cpu\]$"):
        runtime.openvino()


def test_with_a_package_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ImportError(f"{name}: libopenvino.so is missing")

    runtime.openvino.cache_clear()
    monkeypatch.setattr(runtime.importlib, "import_module", broken)
    with pytest.raises(CapabilityError, match=r"does not load here \(openvino: libopenvino"):
        runtime.openvino()
    assert "openvino_telemetry" not in sys.modules
