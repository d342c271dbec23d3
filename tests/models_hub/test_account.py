"""Logins: kept by the library, for its endpoint only, never shown."""

import pytest

from models_hub import Hub
from nervplay.errors import RemoteError, UsageError


def test_nobody(server, hub_home) -> None:
    with pytest.raises(RemoteError, match="nobody is logged in"):
        Hub().whoami()
    with pytest.raises(RemoteError, match="nobody is logged in"):
        Hub(token=False).whoami()
    assert server.log == []


def test_login_is_kept_and_forgotten(server, hub_home) -> None:
    account = Hub().login("hf_alice_secret")
    assert (account.name, account.role, account.organisations) == ("alice", "write", ("zoo",))
    assert Hub().whoami() == account
    assert Hub("https://mirror.example.org").endpoint != server.url
    Hub().logout()
    with pytest.raises(RemoteError):
        Hub().whoami()


@pytest.mark.parametrize(
    "token", ["", "hf_x", "hf alice secret", "hf_alice\nsecret", "x" * 600, "hf_\u00e4lice_secret"]
)
def test_what_is_no_token_is_not_sent(server, hub_home, token: str) -> None:
    with pytest.raises(UsageError, match="not a token"):
        Hub().login(token)
    assert server.log == []


def test_a_token_that_the_hub_does_not_know_is_not_kept(server, hub_home) -> None:
    with pytest.raises(RemoteError, match="does not accept this token"):
        Hub().login("hf_mallory_secret")
    assert not (hub_home / "token").exists()


def test_a_token_is_sent_to_the_librarys_endpoint_only(server, hub_home) -> None:
    with pytest.raises(UsageError, match="set HF_ENDPOINT first"):
        Hub("https://mirror.example.org").login("hf_alice_secret")
    assert server.log == []


def test_a_login_of_the_environment(server, hub_home, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_bob_secret")
    said: list[str] = []
    assert Hub(notice=said.append).whoami().name == "bob"
    Hub(notice=said.append).login("hf_alice_secret")
    assert said == ["HF_TOKEN is set, and counts before the login that was kept"]
    with pytest.raises(UsageError, match="comes from HF_TOKEN"):
        Hub().logout()
