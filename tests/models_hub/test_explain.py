"""The table of failures: what the server does, what the user reads, how often the server was asked."""

import pytest
from loopback_hub import LoopbackHub

from models_hub import client, running
from nervplay.errors import BitstreamError, NervplayError, RemoteError

LIMIT = {"RateLimit": '"api";r=0;t=55', "RateLimit-Policy": '"fixed window";"api";q=500;w=300'}
BUNNY = "hf://alice/bunny"


def private(server: LoopbackHub) -> None:
    server.repositories["alice/bunny"].private = True


def gated(server: LoopbackHub) -> None:
    server.repositories["alice/bunny"].gated = True


def nothing(_server: LoopbackHub) -> None:
    """The server is well."""


ACCESS = [
    (private, False, BUNNY, "there is no such video, or it is private", 1),
    (private, "hf_bob_secret", BUNNY, "there is no such video, or it is private", 1),
    (nothing, False, "hf://alice/nothing", "there is no such video, or it is private", 1),
    (gated, False, BUNNY, "the owner gives this video only to people who ask; open its page", 2),
    (gated, "hf_bob_secret", BUNNY, "the owner gives this video only to people who ask", 2),
    (nothing, False, f"{BUNNY}@v9", "there is no such version of this video", 1),
    (nothing, False, f"{BUNNY}/other.nerv", "alice/bunny has no file other.nerv", 2),
    (nothing, "hf_expired_one", BUNNY, "the Hub does not accept the saved login; log in again: nervplay hub login", 1),
]


@pytest.mark.usefixtures("video")
@pytest.mark.parametrize("case", ACCESS, ids=lambda case: f"{case[0].__name__}-{case[2]}-{case[1]}")
def test_access(server, hubs, case) -> None:
    change, token, address, sentence, count = case
    change(server)
    with pytest.raises(RemoteError, match=sentence) as caught:
        hubs(token).pull(address)
    assert caught.value.exit_code == 5
    assert len(server.log) == count
    assert hubs.said == []


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        (f"{BUNNY}@v9", "there is no such version"),
        (f"{BUNNY}/other.nerv", "this repository has no such file"),
        ("hf://alice/nothing", "there is no such video"),
    ],
)
def test_peek_says_the_same(server, hubs, video, address: str, sentence: str) -> None:
    with pytest.raises(RemoteError, match=sentence):
        hubs().peek(address)


def test_the_owner_and_the_granted_get_in(server, hubs, video, nerv, tmp_path) -> None:
    private(server)
    assert hubs("hf_alice_secret").pull(video).path.read_bytes() == nerv
    server.repositories["alice/bunny"].private = False
    gated(server)
    server.repositories["alice/bunny"].granted.add("bob")
    assert hubs("hf_bob_secret", tmp_path / "bob").pull(video).path.read_bytes() == nerv


CALLS = {
    "search": ("GET /api/models$", lambda hub: hub.search()),
    "peek": ("GET /alice/bunny/resolve/", lambda hub: hub.peek(BUNNY)),
    "peek, store": ("GET /get/", lambda hub: hub.peek(BUNNY)),
    "poster": ("GET /alice/bunny/resolve/", lambda hub: hub.poster("alice/bunny")),
    "pull, version": ("GET /api/models/alice/bunny$", lambda hub: hub.pull(BUNNY)),
    "pull, size": ("POST .*/paths-info/", lambda hub: hub.pull(BUNNY)),
    "pull, head": ("HEAD ", lambda hub: hub.pull(BUNNY)),
    "pull, store": ("GET /get/", lambda hub: hub.pull(BUNNY)),
    "whoami": ("GET /api/whoami-v2", lambda hub: hub.whoami()),
}


@pytest.mark.parametrize("call", CALLS)
def test_429_is_told_with_its_seconds_and_never_waited_for(server, hubs, video, call: str) -> None:
    match, ask = CALLS[call]
    server.fail(match, status=429, headers=LIMIT, times=-1)
    with pytest.raises(RemoteError, match=r"asks for a pause: too many requests; try again in 55 seconds"):
        ask(hubs("hf_alice_secret"))
    assert len(server.seen(match)) == 1
    assert hubs.said == []


@pytest.mark.parametrize(("headers", "seconds"), [({"Retry-After": "7"}, 7), ({}, 60), ({"Retry-After": "soon"}, 60)])
def test_429_without_the_usual_headers(server, hubs, headers: dict[str, str], seconds: int) -> None:
    server.fail("GET /api/models", status=429, headers=headers)
    with pytest.raises(RemoteError, match=f"in {seconds} seconds"):
        hubs().search()


@pytest.mark.parametrize(("call", "status"), [*((call, 500) for call in CALLS), ("search", 502), ("search", 503)])
def test_5xx_is_asked_four_times_aloud(server, hubs, video, call: str, status: int) -> None:
    match, ask = CALLS[call]
    server.fail(match, status=status, times=-1)
    with pytest.raises(RemoteError, match=rf"the Hub has a problem of its own \(error {status}\)"):
        ask(hubs("hf_alice_secret"))
    assert len(server.seen(match)) == (1 if call == "whoami" else 4)
    assert len(hubs.said) == len(server.seen(match)) - 1
    assert all(f"error {status}" in sentence for sentence in hubs.said)


@pytest.mark.parametrize("call", [name for name in CALLS if name not in ("whoami", "poster")])
def test_one_500_is_got_over(server, hubs, video, call: str) -> None:
    match, ask = CALLS[call]
    server.fail(match, status=500)
    assert ask(hubs()) is not None
    assert len(hubs.said) == 1


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("call", ["search", "peek", "pull, version", "pull, head", "pull, store"])
def test_silence_has_an_end(server, hubs, video, monkeypatch, call: str) -> None:
    monkeypatch.setattr(client, "READ_SECONDS", 0.2)
    match, ask = CALLS[call]
    server.fail(match, silence=60, times=-1)
    with pytest.raises(RemoteError, match="the Hub cannot be reached; check the connection"):
        ask(hubs())
    assert len(server.seen(match)) == 2
    assert len(hubs.said) == 1


@pytest.mark.usefixtures("hasty")
def test_silence_in_the_middle_of_a_file_has_an_end(server, hubs, video, nerv, monkeypatch) -> None:
    monkeypatch.setattr(client, "READ_SECONDS", 0.3)
    server.fail("GET /get/", stall_after=300_000)
    assert hubs().pull(video).path.read_bytes() == nerv
    assert server.seen("GET /get/")[1].headers["Range"] == "bytes=262144-"
    assert hubs.said == ["the connection broke; going on from byte 262144"]


def test_no_network(server, hubs, video) -> None:
    hub = hubs("hf_alice_secret")
    server.__exit__()
    for _, ask in CALLS.values():
        with pytest.raises(
            RemoteError, match="the Hub cannot be reached; check the connection, videos already"
        ) as caught:
            ask(hub)
        assert caught.value.exit_code == 5


def test_an_answer_that_nobody_expects(server, hubs) -> None:
    server.fail("GET /api/models", status=418)
    with pytest.raises(RemoteError, match=r"the Hub answered something unexpected \(status 418\)"):
        hubs().search()


@pytest.mark.parametrize(("status", "sentence"), [(401, "log in again"), (403, "may not change"), (413, "too large")])
def test_bare_refusals(server, hubs, status: int, sentence: str) -> None:
    server.fail("GET /api/models", status=status)
    with pytest.raises(RemoteError, match=sentence):
        hubs().search()


def test_every_sentence_is_one_line_without_the_library_in_it(server, hubs, video) -> None:
    seen = []
    for status in (400, 401, 403, 404, 409, 412, 418, 429, 500):
        server.fail("GET /api/models", status=status, times=-1)
        with pytest.raises(NervplayError) as caught:
            hubs().pull(video)
        server.forget()
        seen.append(str(caught.value))
    for sentence in seen:
        assert "\n" not in sentence
        assert "huggingface_hub" not in sentence
        assert ";" in sentence, "a sentence ends with the way out"
    assert running.is_offline_mode() is False
    assert issubclass(BitstreamError, NervplayError)
