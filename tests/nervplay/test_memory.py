"""Garbage collection: what is alive is left out, and nothing stays for good."""

import gc
import weakref

from nervplay.memory import keep_pages, settle


class Node:
    def __init__(self) -> None:
        self.me = self


def test_settle() -> None:
    alive, dead = Node(), Node()
    gone = weakref.ref(dead)
    try:
        settle()
        assert gc.get_freeze_count() > 0
        del dead
        gc.collect()
        assert gone() is not None, "it is left out"
        settle()
        assert gone() is None
        assert alive.me is alive
    finally:
        gc.unfreeze()


def test_pages_are_kept_once_for_all() -> None:
    assert keep_pages() is keep_pages()
