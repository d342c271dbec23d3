"""The browser without a window: against the loopback Hub, with jobs run when the test says so."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loopback_hub import LoopbackHub
from loopback_hub.checks import no_threads
from loopback_hub.videos import make_nerv

from app.core.hub_browser import MAX_PULLS, PAGE, HubBrowser, Query, Row, hub_fetch
from models_hub import Hub
from nervplay.errors import Interrupted, NervplayError

POSTER = b"RIFF\x10\x00\x00\x00WEBPVP8 "
CARD = b"---\nlibrary_name: nervplay\ntags: [nerv-video, hnerv]\n---\n"


class Jobs:
    """Work that waits in a list until `run`; the test's thread is all threads."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], Any], Callable[[Any], None], Callable[[NervplayError], None]]] = []

    def submit(self, job, done, failed) -> None:
        self.waiting.append((job, done, failed))

    def report(self, call: Callable[[], None]) -> None:
        call()

    def run(self, number: int = 0) -> None:
        """Run one waiting job to its end."""
        job, done, failed = self.waiting.pop(number)
        try:
            result = job()
        except NervplayError as error:
            failed(error)
        else:
            done(result)

    def run_all(self) -> None:
        while self.waiting:
            self.run()


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
def browser(server: LoopbackHub, jobs: Jobs, tmp_path: Path) -> HubBrowser:
    for number in range(5):
        name = f"alice/clip{number}"
        server.add(name, "model.safetensors", make_nerv(weights=1000, seed=number))
        server.add(name, "preview/poster.webp", POSTER + bytes([number]))
        server.add(name, "README.md", CARD, large=False)
    server.forget()
    return HubBrowser(Hub(server.url, False, tmp_path / "cache"), jobs)


def names(browser: HubBrowser) -> list[str]:
    return [row.entry.repository for row in browser.rows]


def row(browser: HubBrowser, name: str) -> Row:
    return next(row for row in browser.rows if row.entry.repository == name)


def test_search_is_one_request(server, browser: HubBrowser, jobs: Jobs) -> None:
    browser.search(Query(tags=("hnerv",)))
    assert browser.searching
    assert browser.rows == ()
    jobs.run()
    assert names(browser) == [f"alice/clip{number}" for number in (4, 3, 2, 1, 0)]
    assert (browser.searching, browser.complete, browser.error) == (False, True, "")
    assert len(server.log) == 1


def test_a_second_search_makes_the_first_one_void(browser: HubBrowser, jobs: Jobs) -> None:
    browser.search(Query("clip1"))
    browser.search(Query("clip2"))
    jobs.run(1)
    jobs.run(0)
    assert names(browser) == ["alice/clip2"]


def test_a_search_that_fails_says_why_and_can_be_repeated(server, browser: HubBrowser, jobs: Jobs) -> None:
    server.fail("GET /api/models", status=429, headers={"Retry-After": "9"})
    browser.search(Query())
    jobs.run()
    assert "try again in 9 seconds" in browser.error
    assert not browser.searching
    jobs.run()
    assert (browser.local, browser.rows, browser.complete) == (True, (), True)
    browser.search(Query())
    jobs.run()
    assert (browser.error, browser.local, len(browser.rows)) == ("", False, 5)


def test_without_a_network_what_is_here_is_shown(server, browser: HubBrowser, jobs: Jobs) -> None:
    browser.search(Query())
    jobs.run()
    for name in ("alice/clip1", "alice/clip2"):
        browser.pull(name)
    jobs.run_all()
    server.forget()
    browser.search(Query("clip2"))
    server.fail("GET ", cut_after=0, reset=True, times=-1)
    jobs.run_all()
    assert "the Hub cannot be reached" in browser.error
    (found,) = browser.rows
    assert found.key == f"hf://alice/clip2@{found.entry.revision}"
    assert found.peek.header.video.frame_count == 6
    assert found.transfer.clip.path.exists()
    browser.show([found.key])
    browser.look(found.key)
    assert jobs.waiting == [], "all of it is known"


def test_what_is_here_takes_no_request(server, browser: HubBrowser, jobs: Jobs) -> None:
    browser.search(Query())
    jobs.run()
    browser.pull("alice/clip3")
    jobs.run_all()
    server.forget()
    browser.show_local()
    jobs.run_all()
    assert [found.entry.repository for found in browser.rows] == ["alice/clip3"]
    assert (server.log, browser.error) == ([], "")
    browser.query = Query("other")
    browser.show_local()
    jobs.run_all()
    assert browser.rows == ()


def test_what_was_pulled_is_told_with_the_slot(browser: HubBrowser, jobs: Jobs) -> None:
    told: list[tuple[str, int | None]] = []
    browser._arrived = lambda clip, slot: told.append((clip.repository, slot))
    browser.search(Query())
    jobs.run()
    browser.pull("alice/clip0")
    browser.pull("alice/clip1", 0)
    browser.pull("alice/clip0", 1)
    jobs.run_all()
    assert told == [("alice/clip0", 1), ("alice/clip1", 0)], "a later wish counts"
    browser.pull("alice/clip0", 0)
    assert told[2:] == [("alice/clip0", 0)], "it is here: nothing is pulled again"
    assert jobs.waiting == []


def test_a_page_more_that_fails_leaves_what_is_shown(
    server, browser: HubBrowser, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.core.hub_browser.PAGE", 2)
    browser.search(Query())
    jobs.run()
    server.fail("GET /api/models", status=429, headers={"Retry-After": "9"})
    browser.more()
    jobs.run_all()
    assert len(browser.rows) == 2
    assert not browser.local
    assert "9 seconds" in browser.error


def test_more(server, browser: HubBrowser, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.core.hub_browser.PAGE", 2)
    assert PAGE == 30
    browser.search(Query())
    jobs.run()
    browser.show(["alice/clip4"])
    jobs.run()
    for count in (4, 5, 5):
        browser.more()
        browser.more()
        assert len(jobs.waiting) <= 1, "one answer at a time"
        jobs.run_all()
        assert len(browser.rows) == count
    assert browser.complete
    assert row(browser, "alice/clip4").poster is not None, "what is known stays"


def test_posters_come_for_visible_rows_only(server, browser: HubBrowser, jobs: Jobs) -> None:
    browser.search(Query())
    jobs.run()
    server.forget()
    browser.show([])
    assert server.log == []
    browser.show(["alice/clip3", "alice/clip1", "alice/gone"])
    assert len(jobs.waiting) == 2
    jobs.run_all()
    assert [each.entry.repository for each in browser.rows if each.poster] == ["alice/clip3", "alice/clip1"]
    assert row(browser, "alice/clip3").poster == POSTER + b"\x03"
    browser.show(["alice/clip3"])
    assert jobs.waiting == []
    assert len(server.log) == 4


def test_posters_are_four_at_a_time_and_scrolling_changes_the_rest(browser: HubBrowser, jobs: Jobs) -> None:
    browser.search(Query())
    jobs.run()
    browser.show(names(browser))
    assert len(jobs.waiting) == 4
    browser.show([])
    jobs.run_all()
    assert row(browser, "alice/clip0").poster is None


def test_a_row_without_a_poster_is_asked_once(server, browser: HubBrowser, jobs: Jobs) -> None:
    server.add("alice/plain", "README.md", CARD, large=False)
    browser.search(Query("plain"))
    jobs.run()
    browser.show(["alice/plain"])
    jobs.run()
    assert row(browser, "alice/plain").poster == b""
    browser.show(["alice/plain"])
    assert jobs.waiting == []


def test_metadata_without_a_download(server, browser: HubBrowser, jobs: Jobs) -> None:
    browser.search(Query("clip2"))
    jobs.run()
    server.forget()
    browser.look("alice/clip2")
    browser.look("alice/clip2")
    jobs.run_all()
    peek = row(browser, "alice/clip2").peek
    assert peek is not None
    assert peek.header.video.frame_count == 6
    assert [seen.status for seen in server.log] == [302, 206]


def test_metadata_that_cannot_be_had(server, browser: HubBrowser, jobs: Jobs) -> None:
    server.add("alice/plain", "README.md", CARD, large=False)
    browser.search(Query("plain"))
    jobs.run()
    browser.look("alice/plain")
    jobs.run()
    assert "no such file" in row(browser, "alice/plain").problem


def test_what_is_pulled_is_the_commit_that_was_shown(server, browser: HubBrowser, jobs: Jobs) -> None:
    browser.search(Query("clip2"))
    jobs.run()
    shown = row(browser, "alice/clip2").entry.revision
    server.add("alice/clip2", "model.safetensors", make_nerv(weights=1000, seed=99))
    browser.pull("alice/clip2")
    transfer = row(browser, "alice/clip2").transfer
    assert transfer is not None
    assert transfer.running
    jobs.run()
    transfer = row(browser, "alice/clip2").transfer
    assert transfer is not None
    assert transfer.clip is not None
    assert transfer.clip.revision == shown
    assert transfer.done == transfer.total == transfer.clip.header.file_bytes
    assert not transfer.running


def test_two_pulls_at_a_time(browser: HubBrowser, jobs: Jobs) -> None:
    browser.search(Query())
    jobs.run()
    for name in names(browser)[:4]:
        browser.pull(name)
        browser.pull(name)
    assert len(jobs.waiting) == MAX_PULLS
    browser.cancel_pull("alice/clip1")
    jobs.run_all()
    states = {each.entry.repository: each.transfer for each in browser.rows}
    assert states["alice/clip1"].cancelled
    assert all(states[f"alice/clip{number}"].clip for number in (4, 3, 2))
    assert states["alice/clip0"] is None


def test_cancel_and_errors_of_pulls(server, browser: HubBrowser, jobs: Jobs) -> None:
    browser.search(Query())
    jobs.run()
    browser.pull("alice/clip0")
    browser.pull("alice/clip1")
    browser.cancel_pull("alice/clip0")
    server.repositories["alice/clip1"].gated = True
    jobs.run_all()
    assert row(browser, "alice/clip0").transfer.cancelled
    assert "only to people who ask" in row(browser, "alice/clip1").transfer.error
    server.repositories["alice/clip1"].gated = False
    browser.pull("alice/clip1")
    jobs.run_all()
    assert row(browser, "alice/clip1").transfer.clip


def test_a_search_does_not_stop_pulls(browser: HubBrowser, jobs: Jobs) -> None:
    browser.search(Query())
    jobs.run()
    browser.pull("alice/clip0")
    browser.search(Query("clip0"))
    jobs.run(1)
    assert row(browser, "alice/clip0").transfer.running
    jobs.run()
    assert row(browser, "alice/clip0").transfer.clip


def test_close_stops_everything(server, browser: HubBrowser, jobs: Jobs) -> None:
    changes: list[int] = []
    browser.search(Query())
    jobs.run()
    browser.pull("alice/clip0")
    browser.look("alice/clip1")
    browser.show(["alice/clip2"])
    browser._changed = lambda: changes.append(1)
    browser.close()
    server.forget()
    jobs.run_all()
    assert server.log == []
    assert changes == []


def test_fetch_for_the_player(server, browser: HubBrowser, tmp_path: Path) -> None:
    fetch = hub_fetch(Hub(server.url, False, tmp_path / "other"))
    words: list[str] = []
    fetched = fetch("hf://alice/clip1", threading.Event(), words.append)
    assert fetched.path.read_bytes() == make_nerv(weights=1000, seed=1)
    assert fetched.address == f"hf://alice/clip1@{server.repositories['alice/clip1'].head.sha}"
    assert words[-1].startswith("pulling hf://alice/clip1: 100 % of 0.0 MB")
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        fetch("hf://alice/clip2", stop, words.append)
    no_threads()
