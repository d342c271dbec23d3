"""The Hub browser without its window: what was searched, what is shown, what is on its way. Free of Qt and of threads.

Everything that waits is a job for `Work`, which a window implements with its threads; results come back on the thread
that owns the browser. Posters and metadata are fetched for the rows that are looked at, metadata by Range and without a
download; pulls are two at a time. A row is pinned to the commit that the search saw: what is pulled is what was shown.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from models_hub import Address, Clip, Entry, Hub, Peek
from nervplay.errors import Interrupted, NervplayError

__all__ = ["MAX_PULLS", "PAGE", "HubBrowser", "Query", "Row", "Transfer", "Work", "hub_fetch"]

PAGE = 30
"""Rows that a search asks for, and how many more `more` does."""

MAX_PULLS = 2
_MAX_POSTERS = 4
_MAX_RESULTS = 1000


class Work(Protocol):
    """Runs jobs away from the thread that owns a browser."""

    def submit(
        self, job: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[NervplayError], None]
    ) -> None:
        """Run `job` on another thread, then call `done` with its result or `failed` with its error on the owner's."""
        ...

    def report(self, call: Callable[[], None]) -> None:
        """Run `call` on the owner's thread soon; callable from any thread."""
        ...


@dataclass(frozen=True)
class Query:
    """What to look for.

    Args:
        text: part of the name, "" for all.
        tags: tags that all must be there.
        author: only of this user, "" for all.
    """

    text: str = ""
    tags: tuple[str, ...] = ()
    author: str = ""


@dataclass(frozen=True)
class Transfer:
    """A pull.

    Args:
        done: bytes so far.
        total: bytes in all, 0 while that is not known.
        error: what went wrong in one sentence, "" for nothing.
        clip: the file, once it is here.
        cancelled: the user stopped it.
    """

    done: int = 0
    total: int = 0
    error: str = ""
    clip: Clip | None = None
    cancelled: bool = False

    @property
    def running(self) -> bool:
        """Whether it goes on, or waits for its turn."""
        return not (self.error or self.clip or self.cancelled)


@dataclass(frozen=True)
class Row:
    """A row of the list.

    Args:
        entry: what the search found.
        poster: WebP bytes; b"" when there is none, None while that is not known.
        peek: what the file says of itself, None while that is not known.
        problem: why there is no metadata, "" for nothing.
        transfer: its pull, None before one.
    """

    entry: Entry
    poster: bytes | None = None
    peek: Peek | None = None
    problem: str = ""
    transfer: Transfer | None = None


@dataclass
class _Pull:
    row: str
    address: Address
    cancel: threading.Event = field(default_factory=threading.Event)


class HubBrowser:
    """State of the browser and what a user can do with it. One thread owns it.

    Args:
        hub: the connection.
        work: runs what waits.
        changed: called after every change, for the window to show it.
    """

    def __init__(self, hub: Hub, work: Work, changed: Callable[[], None] = lambda: None) -> None:
        self._hub, self._work, self._changed = hub, work, changed
        self._rows: dict[str, Row] = {}
        self._generation = 0
        self._search_cancel = threading.Event()
        self._wanted: deque[str] = deque()
        self._fetching: dict[str, threading.Event] = {}
        self._peeking: dict[str, threading.Event] = {}
        self._waiting: deque[_Pull] = deque()
        self._pulling: dict[str, _Pull] = {}
        self.query = Query()
        """What is shown."""
        self.searching = False
        """Whether an answer is on its way."""
        self.complete = False
        """Whether there is nothing more to show."""
        self.error = ""
        """Why the last search has no result, in one sentence; "" for nothing."""

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows in their order."""
        return tuple(self._rows.values())

    def search(self, query: Query) -> None:
        """Show what `query` finds; a search that goes on is stopped. Pulls go on."""
        self._stop_looking()
        self.query, self.complete, self._rows = query, False, {}
        self._ask(PAGE)

    def more(self) -> None:
        """Show a page more, unless all is shown or an answer is on its way."""
        if not self.searching and not self.complete:
            self._ask(min(len(self._rows) + PAGE, _MAX_RESULTS))

    def show(self, repositories: Iterable[str]) -> None:
        """Fetch posters for these rows, those that are visible; rows that have scrolled away are no longer asked for.

        Args:
            repositories: names of rows, the most wanted first.
        """
        self._wanted = deque(
            name
            for name in repositories
            if name in self._rows and self._rows[name].poster is None and name not in self._fetching
        )
        self._next_posters()

    def look(self, repository: str) -> None:
        """Fetch what the file of a row says of itself, if that is not known; nothing is downloaded."""
        row = self._rows[repository]
        if row.peek is not None or repository in self._peeking:
            return
        cancel = self._peeking[repository] = threading.Event()
        generation = self._generation

        def finish(change: dict[str, Any]) -> None:
            if generation == self._generation:
                self._peeking.pop(repository, None)
                self._put(repository, **change)

        self._work.submit(
            lambda: self._hub.peek(row.entry.address, cancel=cancel),
            lambda peek: finish({"peek": peek, "problem": ""}),
            lambda error: finish({"problem": str(error)}),
        )

    def pull(self, repository: str) -> None:
        """Pull the video of a row, at the commit that is shown; the third and later ones wait for their turn."""
        row = self._rows[repository]
        if repository in self._pulling or any(each.row == repository for each in self._waiting):
            return
        self._waiting.append(_Pull(repository, row.entry.address))
        self._put(repository, transfer=Transfer())
        self._next_pulls()

    def cancel_pull(self, repository: str) -> None:
        """Stop the pull of a row, or take it out of the queue."""
        if repository in self._pulling:
            self._pulling[repository].cancel.set()
            return
        kept = deque(each for each in self._waiting if each.row != repository)
        if len(kept) < len(self._waiting):
            self._waiting = kept
            self._put(repository, transfer=Transfer(cancelled=True))

    def close(self) -> None:
        """Stop everything; results that still come are dropped."""
        self._stop_looking()
        self._waiting.clear()
        for each in self._pulling.values():
            each.cancel.set()
        self._changed = lambda: None

    def _stop_looking(self) -> None:
        """Stop search, posters and metadata, and drop what they still bring."""
        self._generation += 1
        for cancel in (self._search_cancel, *self._fetching.values(), *self._peeking.values()):
            cancel.set()
        self._wanted.clear()
        self._fetching.clear()
        self._peeking.clear()
        self.searching = False

    def _ask(self, limit: int) -> None:
        query, generation = self.query, self._generation
        cancel = self._search_cancel = threading.Event()
        self.searching, self.error = True, ""

        def found(entries: list[Entry]) -> None:
            if generation == self._generation:
                self.searching, self.complete = False, len(entries) < limit or limit >= _MAX_RESULTS
                known = self._rows
                self._rows = {each.repository: self._row(each, known.get(each.repository)) for each in entries}
                self._changed()

        def failed(error: NervplayError) -> None:
            if generation == self._generation:
                self.searching, self.error = False, str(error)
                self._changed()

        self._work.submit(
            lambda: self._hub.search(query.text or None, query.tags, query.author or None, limit, cancel),
            found,
            failed,
        )
        self._changed()

    def _row(self, entry: Entry, known: Row | None) -> Row:
        """Return the row of an entry, with what is known of the same commit already."""
        if known is not None and known.entry.revision == entry.revision:
            return replace(known, entry=entry)
        pulling = entry.repository in self._pulling or any(each.row == entry.repository for each in self._waiting)
        return Row(entry, transfer=Transfer() if pulling else None)

    def _next_posters(self) -> None:
        while self._wanted and len(self._fetching) < _MAX_POSTERS:
            self._fetch_poster(self._wanted.popleft())

    def _fetch_poster(self, name: str) -> None:
        entry, generation = self._rows[name].entry, self._generation
        cancel = self._fetching[name] = threading.Event()

        def finish(poster: bytes) -> None:
            if generation == self._generation:
                self._fetching.pop(name, None)
                self._put(name, poster=poster)
                self._next_posters()

        self._work.submit(
            lambda: self._hub.poster(name, revision=entry.revision, cancel=cancel), finish, lambda _error: finish(b"")
        )

    def _next_pulls(self) -> None:
        while self._waiting and len(self._pulling) < MAX_PULLS:
            self._start(self._waiting.popleft())

    def _start(self, pull: _Pull) -> None:
        self._pulling[pull.row] = pull

        def told(done: int, total: int) -> None:
            self._work.report(lambda: running(done, total))

        def running(done: int, total: int) -> None:
            if self._pulling.get(pull.row) is pull:
                self._put(pull.row, transfer=Transfer(done, total))

        def finish(transfer: Transfer) -> None:
            del self._pulling[pull.row]
            self._put(pull.row, transfer=transfer)
            self._next_pulls()

        def here(clip: Clip) -> None:
            finish(Transfer(clip.header.file_bytes, clip.header.file_bytes, clip=clip))

        def failed(error: NervplayError) -> None:
            finish(Transfer(cancelled=True) if isinstance(error, Interrupted) else Transfer(error=str(error)))

        self._work.submit(lambda: self._hub.pull(pull.address, progress=told, cancel=pull.cancel), here, failed)

    def _put(self, name: str, **changes: Any) -> None:
        """Change a row, if it is still shown."""
        if name in self._rows:
            self._rows[name] = replace(self._rows[name], **changes)
            self._changed()


def hub_fetch(hub: Hub) -> Callable[[str, threading.Event, Callable[[str], None]], Path]:
    """Return a function that makes an address into a file: (address, stop event, told in words how far it is) -> path.

    Args:
        hub: the connection.
    """

    def fetch(address: str, cancelled: threading.Event, progress: Callable[[str], None]) -> Path:
        def told(done: int, total: int) -> None:
            progress(f"pulling {address}: {100 * done // max(total, 1)} % of {total / 1e6:.1f} MB")

        return hub.pull(address, progress=told, cancel=cancelled).path

    return fetch
