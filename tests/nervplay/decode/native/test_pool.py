"""The threads of the kernels: each item of work is done once, whoever does it."""

import ctypes
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest

from nervplay.decode.native import build

TASK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)


class Round(ctypes.Structure):
    """`nk_round`; its context is its number + 1, for a context of 0 would be none."""

    _fields_: ClassVar = [("context", ctypes.c_void_p), ("items", ctypes.c_int), ("after", ctypes.c_int)]


def rounds_of(*items_and_after: tuple[int, int]) -> ctypes.Array[Round]:
    return (Round * len(items_and_after))(
        *(Round(number + 1, items, after) for number, (items, after) in enumerate(items_and_after))
    )


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """`pool.c` alone, with all of its functions visible."""
    compiler = build.find_compiler()
    if compiler is None:
        pytest.skip("no C compiler is here")
    made = tmp_path_factory.mktemp("pool") / "pool.so"
    source = Path(build.HERE, "pool.c")
    build.run_compiler(compiler, [*build.FLAGS, "-fvisibility=default", "-shared", str(source), "-o", str(made)])
    library = ctypes.CDLL(str(made))
    library.nk_pool_new.restype = ctypes.c_void_p
    library.nk_pool_free.argtypes = [ctypes.c_void_p]
    library.nk_parallel.argtypes = [ctypes.c_void_p, TASK, ctypes.c_void_p, ctypes.c_int]
    library.nk_rounds.argtypes = [ctypes.c_void_p, TASK, ctypes.POINTER(Round), ctypes.c_int]
    return library


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 5, 8])
def test_each_item_is_done_once_by_one_of_the_threads(library: ctypes.CDLL, threads: int) -> None:
    pool = library.nk_pool_new(threads)
    done: list[tuple[int, int]] = []
    task = TASK(lambda _, item, worker: done.append((item, worker)))
    try:
        for items in (0, 1, 2, 3, 7, 64, 500, 5, 1):
            done.clear()
            library.nk_parallel(pool, task, None, items)
            assert Counter(item for item, _ in done) == Counter(range(items)), items
            assert {worker for _, worker in done} <= set(range(threads))
    finally:
        library.nk_pool_free(pool)


def test_threads_that_are_held_up_are_helped(library: ctypes.CDLL) -> None:
    """One thread of four is stuck in its first item until all others are done: those of its run, too."""
    pool = library.nk_pool_new(4)
    rest, left = threading.Event(), 40
    lock = threading.Lock()

    def run(_: object, item: int, __: int) -> None:
        nonlocal left
        if item == 0:
            assert rest.wait(60)
            return
        time.sleep(0.001)
        with lock:
            left -= 1
            if left == 1:
                rest.set()

    try:
        library.nk_parallel(pool, TASK(run), None, 40)
    finally:
        library.nk_pool_free(pool)
    assert left == 1
    assert rest.is_set()


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_items_begin_when_the_rounds_that_they_need_are_finished(library: ctypes.CDLL, threads: int) -> None:
    """Rounds of any size, none included, each of which needs all before it or all but the last."""
    pool, draw, lock = library.nk_pool_new(threads), random.Random(threads), threading.Lock()
    try:
        for _ in range(60):
            counts = [(draw.choice((0, 1, 2, 5, 9)), max(i - draw.randrange(2), 0)) for i in range(draw.randint(1, 64))]
            finished, early, seen = [0] * len(counts), [], set[tuple[int, int]]()

            def run(context: int, item: int, _: int) -> None:
                number = context - 1
                missing = [i for i in range(counts[number][1]) if finished[i] < counts[i][0]]  # noqa: B023
                with lock:
                    early.extend((number, i) for i in missing)  # noqa: B023
                    seen.add((number, item))  # noqa: B023
                    finished[number] += 1  # noqa: B023

            library.nk_rounds(pool, TASK(run), rounds_of(*counts), len(counts))
            assert not early
            assert finished == [items for items, _ in counts]
            assert len(seen) == sum(finished)
    finally:
        library.nk_pool_free(pool)


def test_a_round_that_needs_nothing_of_the_one_before_runs_beside_it(library: ctypes.CDLL) -> None:
    """The only item of the first round waits for one of the second, which nobody would begin after it."""
    pool, other = library.nk_pool_new(2), threading.Event()
    met: list[bool] = []
    task = TASK(lambda context, _, __: other.set() if context > 1 else met.append(other.wait(60)))
    try:
        library.nk_rounds(pool, task, rounds_of((1, 0), (3, 0), (2, 2)), 3)
    finally:
        library.nk_pool_free(pool)
    assert met == [True]


FORKED = """
import ctypes, os, signal, sys, time

library = ctypes.CDLL(sys.argv[1])
TASK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
library.nk_pool_new.restype = ctypes.c_void_p
pool, done = ctypes.c_void_p(library.nk_pool_new(3)), []
task = TASK(lambda _, item, worker: done.append((item, worker)))
library.nk_parallel(pool, task, None, 50)
done.clear()
time.sleep(0.2)  # its threads fall asleep: a forked process would wait for sleepers
if not (child := os.fork()):
    signal.alarm(20)
    library.nk_parallel(pool, task, None, 50)
    library.nk_pool_free(pool)
    os._exit(done != [(item, 0) for item in range(50)])
sys.exit(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be copied here")
def test_a_forked_process_works_alone_and_waits_for_nobody(library: ctypes.CDLL) -> None:
    """Neither its work nor the end of its pool needs threads that were left behind."""
    done = subprocess.run([sys.executable, "-c", FORKED, library._name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
