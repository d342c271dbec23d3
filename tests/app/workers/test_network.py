"""Jobs run elsewhere, answers come back here; closing waits for what runs and drops the rest."""

import threading
import time

import pytest

from app.workers.network import NetworkWork
from nervplay.errors import NervplayError, RemoteError


@pytest.fixture
def work(qtbot):
    work = NetworkWork()
    yield work
    work.shut_down()
    work.shut_down()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("nervplay-network")] == []


def test_answers_come_to_this_thread(qtbot, work: NetworkWork) -> None:
    heard: list[tuple[object, str]] = []
    here = threading.current_thread().name
    note = lambda what: heard.append((what, threading.current_thread().name))  # noqa: E731 - one line says it
    work.submit(lambda: threading.current_thread().name, note, note)

    def fail() -> None:
        raise RemoteError("no network")

    def break_down() -> None:
        raise ZeroDivisionError("1/0")

    qtbot.waitUntil(lambda: len(heard) == 1)
    work.submit(fail, note, note)
    qtbot.waitUntil(lambda: len(heard) == 2)
    work.submit(break_down, note, note)
    qtbot.waitUntil(lambda: len(heard) == 3)
    assert {name for _, name in heard} == {here}
    assert str(heard[0][0]).startswith("nervplay-network")
    assert str(heard[1][0]) == "no network"
    assert isinstance(heard[2][0], NervplayError)
    assert "ZeroDivisionError" in str(heard[2][0])


def test_reports_come_in_order(qtbot, work: NetworkWork) -> None:
    heard: list[int] = []

    def job() -> None:
        for number in range(200):
            work.report(lambda number=number: heard.append(number))

    work.submit(job, lambda _: heard.append(-1), lambda _: None)
    qtbot.waitUntil(lambda: len(heard) == 201)
    assert heard == [*range(200), -1]


def test_closing_waits_and_drops(qtbot, work: NetworkWork) -> None:
    heard: list[object] = []
    over = threading.Event()

    def job() -> None:
        time.sleep(0.1)
        over.set()

    work.submit(job, heard.append, heard.append)
    work.shut_down()
    assert over.is_set()
    work.submit(job, heard.append, heard.append)
    work.report(lambda: heard.append(1))
    qtbot.wait(20)
    assert heard == []
