"""`nervplay frei0r`: the text that it prints is what ffmpeg takes."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ffmpeg_bridge.frei0r import plugin_folder


def test_graph_names_the_whole_path(nervplay, small_nerv: Path, tmp_path: Path, monkeypatch) -> None:
    shutil.copy(small_nerv, tmp_path / "it's.nerv")
    monkeypatch.chdir(tmp_path)
    ran = nervplay("frei0r", "graph", "it's.nerv")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("frei0r_src=size=64x48:framerate=25/1:filter_name=nerv:filter_params=" + str(tmp_path))
    assert "|strict,trim=end_frame=10," in ran.out
    ran = nervplay("frei0r", "graph", "it's.nerv", "--compare", "wipe", "--split", "0.25", "--start", "2")
    assert ran.out.startswith("frei0r=filter_name=nervcmp:")
    assert "|strict+start=2|0|0.25," in ran.out
    assert "size=32x24:" in nervplay("frei0r", "graph", "it's.nerv", "--size", "32x24").out


def test_path(nervplay) -> None:
    assert nervplay("frei0r", "path").out == f"{plugin_folder()}\n"


@pytest.mark.skipif(not shutil.which("cc") or not shutil.which("ffmpeg"), reason="cc and ffmpeg are needed")
def test_installed_and_used(nervplay, small_nerv: Path, tmp_path: Path) -> None:
    ran = nervplay("frei0r", "install", "--folder", tmp_path / "lib")
    assert (ran.code, ran.out) == (0, "")
    assert "nervplay ffmpeg doctor" in ran.err
    graph = nervplay("frei0r", "graph", small_nerv).out.strip()
    command = ["ffmpeg", "-v", "error", "-filter_complex", graph, "-f", "framemd5", "-"]
    environment = os.environ | {"FREI0R_PATH": str(tmp_path / "lib"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n0,") == 10


def test_refused(nervplay, small_nerv: Path, tmp_path: Path) -> None:
    assert nervplay("frei0r", "graph").code == 2
    assert nervplay("frei0r", "install", small_nerv).code == 2
    assert nervplay("frei0r", "graph", tmp_path / "none.nerv").code == 3
    (tmp_path / "file").touch()
    assert nervplay("frei0r", "install", "--folder", tmp_path / "file" / "x").code == 4
