"""`nervplay hub`: info, list, verify, remove, login, logout, whoami."""

import json
from pathlib import Path

import pytest
from loopback_hub.checks import spoken

BUNNY = "hf://alice/bunny"


def test_hub_info_downloads_nothing(nervplay, server, bunny) -> None:
    ran = nervplay("hub", "info", "alice/bunny", "--json")
    facts = json.loads(ran.out)
    assert facts["address"] == bunny
    assert facts["parameters"] == 404_275
    assert [seen.status for seen in server.log] == [302, 206]
    text = nervplay("hub", "info", bunny)
    assert text.out.startswith(bunny)
    assert "132 frames" in text.out
    offline = nervplay("hub", "info", bunny, "--offline")
    assert offline.code == 5


def test_list_verify_remove(nervplay, server, bunny, hub_home: Path) -> None:
    empty = nervplay("hub", "list")
    assert (empty.code, empty.out) == (0, "")
    assert "no video of the Hub is on this computer" in empty.err
    nervplay("pull", BUNNY)
    server.forget()
    listed = nervplay("hub", "list")
    assert bunny in listed.out
    assert "hnerv" in listed.out
    (fact,) = json.loads(nervplay("hub", "list", "--json").out)
    assert fact["address"] == bunny
    sound = nervplay("hub", "verify", "alice/bunny")
    assert sound.code == 0
    assert "sound" in sound.out
    blob = Path(fact["path"]).resolve()
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    broken = nervplay("hub", "verify", "alice/bunny", "--json")
    assert broken.code == 3
    assert "digest" in json.loads(broken.out)[0]["problem"]
    assert "1 of 1 files are damaged; get them again: nervplay pull hf://alice/bunny" in broken.err
    removed = nervplay("hub", "remove", "alice/bunny")
    assert removed.code == 0
    assert "319 kB" in removed.err
    assert nervplay("hub", "list").out == ""
    assert nervplay("hub", "remove", "alice/bunny").code == 2
    assert nervplay("hub", "verify", "alice/bunny").code == 2
    assert server.log == []


def test_login_logout_whoami(nervplay, server, hub_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nobody = nervplay("hub", "whoami")
    assert nobody.code == 5
    assert "nobody is logged in" in nobody.err

    def login(text: str):
        (tmp_path / "token.txt").write_text(text)
        with (tmp_path / "token.txt").open() as stream:
            monkeypatch.setattr("sys.stdin", stream)
            return nervplay("hub", "login")

    assert login("").code == 2
    assert login("not a token\n").code == 2
    wrong = login("hf_wrong_secret\n")
    assert wrong.code == 5
    assert "does not accept this token" in wrong.err
    assert not (hub_home / "token").exists()
    right = login("hf_alice_secret\n")
    assert (right.code, right.out) == (0, "")
    assert spoken(right.err, server) == ["logged in as alice, who may write"]
    assert (hub_home / "token").read_text() == "hf_alice_secret"
    assert (hub_home / "token").stat().st_mode & 0o077 == 0
    assert nervplay("hub", "whoami").out == "alice\n"
    assert json.loads(nervplay("hub", "whoami", "--json").out)["organisations"] == ["zoo"]
    assert nervplay("hub", "logout").code == 0
    assert not (hub_home / "token").exists()
    assert "hf_alice_secret" not in right.err
