"""`Hub` itself: endpoints, and that no method needs more than it says."""

import pytest

from models_hub import Hub
from nervplay.errors import UsageError


@pytest.mark.parametrize(
    "endpoint", ["http://mirror.example.org", "ftp://127.0.0.1", "huggingface.co", "http://127.0.0.1.example.org"]
)
def test_an_endpoint_in_the_clear_is_refused(endpoint: str) -> None:
    with pytest.raises(UsageError, match="must begin with https://; check HF_ENDPOINT"):
        Hub(endpoint, token=False)


def test_official_and_others() -> None:
    assert Hub("https://huggingface.co/", token=False).is_official
    mirror = Hub("https://mirror.example.org/", token=False)
    assert (mirror.is_official, mirror.endpoint) == (False, "https://mirror.example.org")
    assert not Hub("http://localhost:1234", token=False).is_official


def test_making_one_asks_nothing(server, hubs, cache) -> None:
    hub = hubs()
    assert hub.cache == cache
    assert hub.local() == []
    assert server.log == []
    assert not cache.exists()


def test_the_default_endpoint_and_login_are_those_of_the_computer(server, logged_in) -> None:
    hub = Hub()
    assert hub.endpoint == server.url
    assert hub.whoami().name == "alice"
