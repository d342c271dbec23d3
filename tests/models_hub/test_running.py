"""Cancel: at ten points of a pull and of a push, each time at once, with nothing left behind.

The server keeps silent where a call is cancelled, for longer than any limit of ours: a call that comes back with
`Interrupted` did not wait for it.
"""

import threading
from collections.abc import Callable

import pytest
from filelock import FileLock
from loopback_hub import LoopbackHub
from loopback_hub.checks import no_threads, partial_files

from models_hub import client, running
from nervplay.errors import Interrupted, RemoteError

SILENCE = 120
ALICE = "hf_alice_secret"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No limit of ours or of the library ends what a cancel should."""
    monkeypatch.setattr(client, "READ_SECONDS", SILENCE)
    monkeypatch.setattr(client, "STORE_SECONDS", SILENCE)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", SILENCE)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT", SILENCE)


def cancel_when(server: LoopbackHub, event: threading.Event, match: str) -> None:
    """Set `event` as soon as the server has got a request that `match` finds."""

    def watch() -> None:
        while not server.seen(match) and not server.over.wait(0.005):
            pass
        server.over.wait(0.05)
        event.set()

    threading.Thread(target=watch, daemon=True).start()


def at_request(match: str) -> Callable[[LoopbackHub, threading.Event], None]:
    def prepare(server: LoopbackHub, event: threading.Event) -> None:
        server.fail(match, silence=SILENCE)
        cancel_when(server, event, match)

    return prepare


def in_the_body(after: int) -> Callable[[LoopbackHub, threading.Event], None]:
    def prepare(server: LoopbackHub, event: threading.Event) -> None:
        server.fail("GET /get/", stall_after=after)
        cancel_when(server, event, "GET /get/")

    return prepare


def before_all(_server: LoopbackHub, event: threading.Event) -> None:
    event.set()


PULL_POINTS = {
    "before": before_all,
    "version": at_request("GET /api/models/alice/bunny$"),
    "size": at_request("POST .*/paths-info/"),
    "head": at_request("HEAD "),
    "store": at_request("GET /get/"),
    "byte 0": in_the_body(0),
    "byte 1000": in_the_body(1000),
    "byte 200000": in_the_body(200_000),
    "byte 400000": in_the_body(400_000),
    "last byte": in_the_body(590_000),
}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("point", PULL_POINTS)
def test_pull_stops_at_ten_points(server, hubs, video, nerv, point: str) -> None:
    cancel = threading.Event()
    PULL_POINTS[point](server, cancel)
    hub = hubs()
    with pytest.raises(Interrupted, match="stopped") as caught:
        hub.pull(video, cancel=cancel)
    assert caught.value.exit_code == 130
    assert all(seen.status is None for seen in server.log[-1:]) or point.startswith(("byte", "last"))
    no_threads()
    assert partial_files(hub.cache) == []
    asked = len(server.log)
    server.over.wait(0.05)
    assert len(server.log) == asked, "a cancelled call asks nothing more"
    server.forget()
    assert hub.pull(video).path.read_bytes() == nerv


def test_pull_stops_from_its_own_progress(server, hubs, video) -> None:
    cancel = threading.Event()
    told = []

    def progress(done: int, _total: int) -> None:
        told.append(done)
        if done:
            cancel.set()

    with pytest.raises(Interrupted):
        hubs().pull(video, cancel=cancel, progress=progress)
    no_threads()
    assert len(told) <= 3
    assert partial_files(hubs().cache) == []


PUSH_POINTS = {
    "before": before_all,
    "create": at_request("POST /api/repos/create"),
    "look": at_request("GET /api/models/alice/bunny$"),
    "mode": at_request("POST .*/preupload/"),
    "batch": at_request("POST .*/objects/batch"),
    "store": at_request("PUT /put/"),
    "verify": at_request("POST /lfs-verify"),
    "card": at_request("POST /api/validate-yaml"),
    "commit": at_request("POST .*/commit/"),
    "tag": at_request("POST .*/tag/"),
}


@pytest.mark.parametrize("point", PUSH_POINTS)
def test_push_stops_at_ten_points(server, hubs, publication, point: str) -> None:
    server.create("alice/bunny", private=True)
    before = server.repositories["alice/bunny"].head
    cancel = threading.Event()
    PUSH_POINTS[point](server, cancel)
    hub = hubs(ALICE)
    with pytest.raises(Interrupted):
        hub.push(publication, "alice/bunny", tag="v1", cancel=cancel)
    no_threads()
    head = server.repositories["alice/bunny"].head
    assert (head is before) is (point != "tag"), "the commit is the moment of publication"
    server.forget()
    hub.push(publication, "alice/bunny", tag="v1")
    assert server.repositories["alice/bunny"].tags["v1"] == server.repositories["alice/bunny"].head.sha


@pytest.mark.parametrize("call", ["search", "peek", "poster", "whoami"])
def test_other_calls_stop(server, hubs, video, call: str) -> None:
    cancel = threading.Event()
    at_request("GET ")(server, cancel)
    hub = hubs(ALICE)
    asks = {
        "search": lambda: hub.search(cancel=cancel),
        "peek": lambda: hub.peek(video, cancel=cancel),
        "poster": lambda: hub.poster("alice/bunny", cancel=cancel),
        "whoami": lambda: hub.whoami(cancel=cancel),
    }
    with pytest.raises(Interrupted):
        asks[call]()
    no_threads()
    assert [seen.status for seen in server.log] == [None]


def test_a_pause_before_another_try_stops(server, hubs, monkeypatch) -> None:
    monkeypatch.setattr(running, "_PAUSES", (SILENCE, SILENCE, SILENCE))
    cancel = threading.Event()
    server.fail("GET /api/models", status=500)
    cancel_when(server, cancel, "GET /api/models")
    with pytest.raises(Interrupted):
        hubs().search(cancel=cancel)
    no_threads()
    assert len(server.log) == 1


def test_an_error_before_cancel_stays_that_error(server, hubs) -> None:
    with pytest.raises(RemoteError):
        hubs().pull("hf://alice/nothing", cancel=threading.Event())


@pytest.mark.usefixtures("hasty")
def test_two_calls_at_once_do_not_stop_each_other(server, hubs, video, nerv, tmp_path) -> None:
    first, second = hubs(cache=tmp_path / "a"), hubs(cache=tmp_path / "b")
    server.fail("GET /get/", stall_after=200_000)
    cancel = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            first.pull(video, cancel=cancel)
        except Interrupted as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not server.seen("GET /get/"):
        server.over.wait(0.005)
    server.fail("GET /get/", trickle=40_000)
    done = []
    assert second.pull(video, progress=lambda *_: (done.append(1), cancel.set())).path.read_bytes() == nerv
    thread.join()
    assert len(errors) == 1
    assert len(done) >= 5


def test_a_lock_of_another_program_is_told_and_waiting_for_it_stops(server, hubs, video, nerv) -> None:
    hub = hubs()
    digest = server.repositories["alice/bunny"].head.files["model.safetensors"].lfs
    lock = hub.cache / ".locks" / "models--alice--bunny" / f"{digest}.lock"
    lock.parent.mkdir(parents=True)
    cancel = threading.Event()
    with FileLock(lock):
        cancel_when(server, cancel, "HEAD ")
        with pytest.raises(Interrupted):
            hub.pull(video, cancel=cancel)
        assert hubs.said == ["another program downloads model.safetensors of alice/bunny; waiting for it"]
    no_threads()
    assert hub.pull(video).path.read_bytes() == nerv
    assert len(hubs.said) == 1
