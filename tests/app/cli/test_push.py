"""`nervplay push`: what a person types, what the Hub then has, what `nervplay search` shows of it."""

import json
from pathlib import Path

import pytest
from loopback_hub.checks import spoken


def test_push_and_search(nervplay, server, logged_in, small_nerv: Path, small_clip: Path) -> None:
    ran = nervplay(
        "push", small_nerv, "alice/square", "--source", small_clip, "--license", "cc0-1.0", "--public", "--tag", "v1",
        "--credit", "a square that walks", "--variant", f"same={small_nerv}", "--device", "cpu",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    repository = server.repositories["alice/square"]
    assert ran.out == f"hf://alice/square@{repository.head.sha}\n"
    assert not repository.private
    assert repository.tags["v1"] == repository.head.sha
    files = {path: server.data(file) for path, file in repository.head.files.items()}
    assert files["model.safetensors"] == files["variants/same.safetensors"] == small_nerv.read_bytes()
    assert files["preview/poster.webp"][8:12] == b"WEBP"
    assert files["preview/preview.mp4"][4:8] == b"ftyp"
    assert b"a square that walks" in files["README.md"]
    measured = json.loads(nervplay("eval", small_nerv, small_clip, "--json", "--device", "cpu").out)
    found = nervplay("search", "square", "--tag", "hnerv")
    assert f"{measured['metrics']['psnr']['mean']:.2f}" in found.out
    assert "cc0-1.0" in found.out
    (fact,) = json.loads(nervplay("search", "--author", "alice", "--json").out)
    assert fact["address"] == "hf://alice/square"
    assert fact["psnr"] == pytest.approx(measured["metrics"]["psnr"]["mean"], abs=1e-5)
    assert fact["bpp"] == pytest.approx(measured["bpp"], abs=1e-5)
    nothing = nervplay("search", "zebra")
    assert (nothing.code, nothing.out) == (0, "")
    assert "nothing found" in nothing.err


def test_push_without_a_login_stops_before_the_work(nervplay, server, hub_home, small_nerv: Path) -> None:
    ran = nervplay("push", small_nerv, "alice/square")
    assert ran.code == 5
    assert spoken(ran.err, server) == ["nervplay: error: nobody is logged in; log in first: nervplay hub login"]
    assert server.log == []


@pytest.mark.parametrize(
    "words", [("push", "FILE", "square"), ("push", "FILE", "alice/x", "--variant", "low"), ("pull", "x")]
)
def test_wrong_calls(nervplay, server, logged_in, small_nerv: Path, words: tuple[str, ...]) -> None:
    ran = nervplay(*(str(small_nerv) if word == "FILE" else word for word in words))
    assert ran.code == 2
    assert server.log == []


def test_push_as_json_without_pictures(nervplay, server, logged_in, small_nerv: Path) -> None:
    ran = nervplay("push", small_nerv, "alice/square", "--no-pictures", "--json", "--device", "cpu")
    facts = json.loads(ran.out)
    assert set(facts["files"]) == {"README.md", "config.json", "model.safetensors"}
    assert server.repositories["alice/square"].private
