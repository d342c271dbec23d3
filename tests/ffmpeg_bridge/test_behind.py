"""Work in a thread behind the caller's."""

import threading
import time

import pytest

from ffmpeg_bridge.behind import worked_behind


def alive():
    return [thread for thread in threading.enumerate() if thread.name == "worked-behind"]


def test_all_items_in_order_in_one_other_thread():
    done, threads = [], set()

    def work(item):
        done.append(item)
        threads.add(threading.current_thread())

    with worked_behind(work) as give:
        for item in range(50):
            give(item)
    assert done == list(range(50))
    assert len(threads) == 1
    assert threading.current_thread() not in threads
    assert not alive()


def test_items_that_are_empty_are_items():
    done = []
    with worked_behind(done.append) as give:
        for item in (None, (), 0):
            give(item)
    assert done == [None, (), 0]


def test_the_caller_is_not_far_ahead():
    given, gate = [], threading.Event()

    def feed():
        with worked_behind(lambda _item: gate.wait(10)) as give:
            for item in range(30):
                give(item)
                given.append(item)

    caller = threading.Thread(target=feed)
    caller.start()
    deadline = time.monotonic() + 5
    while len(given) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(given) == 5, "one in work, four waiting"
    gate.set()
    caller.join()
    assert len(given) == 30


@pytest.mark.parametrize("last", [7, 49])
def test_an_error_of_the_work_comes_out(last):
    done, given = [], []

    def work(item):
        if item == last:
            raise ValueError(f"no {item}")
        done.append(item)

    def feed():
        with worked_behind(work) as give:
            for item in range(50):
                give(item)
                given.append(item)

    with pytest.raises(ValueError, match=f"no {last}"):
        feed()
    assert done == list(range(last))
    assert len(given) <= last + 6
    assert not alive()


def test_an_error_of_the_caller_drops_what_waits():
    done, gate = [], threading.Event()

    def work(item):
        gate.wait(10)
        done.append(item)

    def feed():
        with worked_behind(work) as give:
            for item in range(4):
                give(item)
            threading.Timer(0.2, gate.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        feed()
    assert len(done) <= 1
    assert not alive()
