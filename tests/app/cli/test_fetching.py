"""An address of the Hub wherever a FILE is read: fetched, pinned, told on stderr, offline when asked."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from app.core import find_sample
from nervplay.bitstream import peek_nerv

SAMPLE = find_sample().video
BUNNY = "hf://alice/bunny"


def test_commands_read_addresses(nervplay, server, bunny, tmp_path: Path) -> None:
    """One place resolves FILE arguments; info, decode, export and pipe stand for all that read a .nerv."""
    ran = nervplay("info", BUNNY, "--json")
    assert json.loads(ran.out)["weights_sha256"] == peek_nerv(SAMPLE).weights_sha256
    server.forget()
    ran = nervplay("decode", bunny, "-o", tmp_path / "one.npy", "--frames", "3", "--device", "cpu", "--offline")
    assert ran.code == 0, ran.err
    assert (tmp_path / "one.npy").stat().st_size == 128 + 320 * 180 * 3
    assert server.log == []


@pytest.mark.parametrize("name", ["info", "decode", "export", "pipe", "eval"])
def test_every_reading_command_takes_offline_and_says_5(nervplay, name: str) -> None:
    shown = nervplay(name, "--help").out
    assert "--offline" in shown
    assert "  5    network or Hub" in shown
    assert "--offline" not in nervplay("encode", "--help").out


@pytest.mark.parametrize("arguments", [("--offline", "pull"), ("pull", "--offline")])
def test_offline(nervplay, server, bunny, arguments) -> None:
    words = [*arguments, BUNNY] if arguments[0] == "pull" else ["pull", BUNNY, "--offline"]
    ran = nervplay(*words)
    assert ran.code == 5
    assert "not on this computer, and the Hub may not be asked; pull it without --offline" in ran.err
    assert server.log == []
    nervplay("pull", BUNNY)
    server.forget()
    assert nervplay(*words).code == 0
    assert server.log == []


def test_verbose_logs_requests_without_the_login(nervplay, server, logged_in, bunny) -> None:
    ran = nervplay("pull", BUNNY, "-vv")
    assert ran.code == 0
    assert "models_hub.client: GET" in ran.err
    assert logged_in not in ran.err
    assert "signature" not in ran.err


def test_without_the_library(start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
    (tmp_path / "huggingface_hub.py").write_text("raise ModuleNotFoundError(\"No module named 'huggingface_hub'\")")
    paths = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = paths
    try:
        with start("search") as child:
            _, err = child.communicate()
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
    assert child.returncode == 6
    assert b"pip install nervplay[hub]" in err
