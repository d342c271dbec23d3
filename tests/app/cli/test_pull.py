"""`nervplay pull`: where the file is, and nothing left behind when it is stopped."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from loopback_hub import LoopbackHub
from loopback_hub.checks import spoken
from loopback_hub.videos import make_nerv

from app.core import find_sample

SAMPLE = find_sample().video
BUNNY = "hf://alice/bunny"


def test_pull_prints_where_the_file_is(nervplay, server, bunny) -> None:
    ran = nervplay("pull", "alice/bunny")
    assert ran.code == 0
    assert Path(ran.out.strip()).read_bytes() == SAMPLE.read_bytes()
    assert spoken(ran.err, server) == [f"{bunny}: 319 kB (318,936 bytes), downloaded"]
    server.forget()
    again = nervplay("pull", bunny, "--json")
    facts = json.loads(again.out)
    assert (facts["address"], facts["from_cache"], facts["file_bytes"]) == (bunny, True, 318_936)
    assert facts["path"] == ran.out.strip()
    assert spoken(again.err, server)[0].endswith("from the cache")
    assert server.log == []


def test_pull_to_a_file(nervplay, server, bunny, tmp_path: Path) -> None:
    target = tmp_path / "mine.nerv"
    assert nervplay("pull", BUNNY, "-o", target).out == f"{target}\n"
    assert target.read_bytes() == SAMPLE.read_bytes()
    server.forget()
    refused = nervplay("pull", BUNNY, "-o", target)
    assert refused.code == 4
    assert "exists; add --overwrite" in refused.error
    assert server.log == []
    assert nervplay("pull", BUNNY, "-o", target, "--overwrite").code == 0


def test_ctrl_c_ends_a_pull_at_once(
    start: Callable[..., subprocess.Popen[bytes]], server: LoopbackHub, hub_home: Path
) -> None:
    server.add("alice/big", "model.safetensors", make_nerv())
    server.fail("GET /get/", stall_after=300_000)
    with start("pull", "alice/big") as child:
        while not server.seen("GET /get/"):
            assert child.poll() is None
            server.over.wait(0.01)
        server.over.wait(0.2)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate()
    assert child.returncode == 130
    assert out == b""
    assert err.decode().splitlines()[-1].startswith("nervplay: ")
    assert b"Traceback" not in err
    assert list(hub_home.rglob("*.incomplete")) == []
