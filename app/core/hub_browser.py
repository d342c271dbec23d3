"""The Hub browser without its window: what was searched, what is shown, what is on its way. Free of Qt and of threads.

Everything that waits is a job for `Work`, which a window implements with its threads; results come back on the thread
that owns the browser. Posters and metadata are fetched for the rows that are looked at, metadata by Range and without a
download; pulls are two at a time. A row is pinned to the commit that the search saw: what is pulled is what was shown.
Where the Hub cannot be asked, the videos that are on this computer take the place of what it would have found.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from app.core.hub import Fetch, Fetched
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
        key: what tells it from the others: the repository, of files on this computer the address with the commit.
        entry: what the search found.
        poster: WebP bytes; b"" when there is none, None while that is not known.
        peek: what the file says of itself, None while that is not known.
        problem: why there is no metadata, "" for nothing.
        transfer: its pull, None before one.
    """

    key: str
    entry: Entry
    poster: bytes | None = None
    peek: Peek | None = None
    problem: str = ""
    transfer: Transfer | None = None


@dataclass
class _Pull:
    row: str
    address: Address
    slot: int | None = None
    cancel: threading.Event = field(default_factory=threading.Event)


class HubBrowser:
    """State of the browser and what a user can do with it. One thread owns it.

    Args:
        hub: the connection.
        work: runs what waits.
        changed: called after every change, for the window to show it.
        arrived: called with what was pulled, and the slot (0 for A to 3 for D) that it was pulled for, None for none.
    """

    def __init__(
        self,
        hub: Hub,
        work: Work,
        changed: Callable[[], None] = lambda: None,
        arrived: Callable[[Clip, int | None], None] = lambda _clip, _slot: None,
    ) -> None:
        self._hub, self._work, self._changed, self._arrived = hub, work, changed, arrived
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
        self.local = False
        """Whether the rows are what is on this computer, found without a request."""

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows in their order."""
        return tuple(self._rows.values())

    def search(self, query: Query) -> None:
        """Show what `query` finds; a search that goes on is stopped. Pulls go on."""
        self._stop_looking()
        self.query, self.complete, self.local, self._rows = query, False, False, {}
        self._ask(PAGE)

    def show_local(self) -> None:
        """Show the videos of the Hub that are on this computer, whose name has the text of the query; no request."""
        self._stop_looking()
        self.error = ""
        self._list_local()

    def more(self) -> None:
        """Show a page more, unless all is shown or an answer is on its way."""
        if not self.searching and not self.complete:
            self._ask(min(len(self._rows) + PAGE, _MAX_RESULTS))

    def show(self, keys: Iterable[str]) -> None:
        """Fetch posters for these rows, those that are visible; rows that have scrolled away are no longer asked for.

        Args:
            keys: of rows, the most wanted first.
        """
        self._wanted = deque(
            key for key in keys if key in self._rows and self._rows[key].poster is None and key not in self._fetching
        )
        self._next_posters()

    def look(self, key: str) -> None:
        """Fetch what the file of a row says of itself, if that is not known; nothing is downloaded."""
        row = self._rows[key]
        if row.peek is not None or key in self._peeking:
            return
        cancel = self._peeking[key] = threading.Event()
        generation = self._generation

        def finish(change: dict[str, Any]) -> None:
            if generation == self._generation:
                self._peeking.pop(key, None)
                self._put(key, **change)

        self._work.submit(
            lambda: self._hub.peek(row.entry.address, cancel=cancel),
            lambda peek: finish({"peek": peek, "problem": ""}),
            lambda error: finish({"problem": str(error)}),
        )

    def pull(self, key: str, slot: int | None = None) -> None:
        """Pull the video of a row, at the commit that is shown; the third and later ones wait for their turn.

        Args:
            key: of the row.
            slot: where it is to be opened once it is here, 0 for A to 3 for D; None for nowhere.
        """
        row = self._rows[key]
        under_way = self._pull_of(key)
        if under_way is not None:
            under_way.slot = slot if slot is not None else under_way.slot
        elif row.transfer is not None and row.transfer.clip is not None:
            self._arrived(row.transfer.clip, slot)
        else:
            self._waiting.append(_Pull(key, row.entry.address, slot))
            self._put(key, transfer=Transfer())
            self._next_pulls()

    def _pull_of(self, key: str) -> _Pull | None:
        """Return the pull of a row that goes on or waits."""
        return self._pulling.get(key) or next((each for each in self._waiting if each.row == key), None)

    def cancel_pull(self, key: str) -> None:
        """Stop the pull of a row, or take it out of the queue."""
        if key in self._pulling:
            self._pulling[key].cancel.set()
            return
        kept = deque(each for each in self._waiting if each.row != key)
        if len(kept) < len(self._waiting):
            self._waiting = kept
            self._put(key, transfer=Transfer(cancelled=True))

    def close(self) -> None:
        """Stop everything; results that still come are dropped."""
        self._stop_looking()
        self._waiting.clear()
        for each in self._pulling.values():
            each.cancel.set()
        self._changed, self._arrived = lambda: None, lambda _clip, _slot: None

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
                if self._rows:  # a page more was asked for; what is shown stays
                    self._changed()
                else:
                    self._list_local()

        self._work.submit(
            lambda: self._hub.search(query.text or None, query.tags, query.author or None, limit, cancel),
            found,
            failed,
        )
        self._changed()

    def _list_local(self) -> None:
        """Show what is on this computer in place of what a search finds."""
        words, generation = self.query.text.lower(), self._generation
        self.local, self.complete, self._rows = True, True, {}

        def found(clips: list[Clip]) -> None:
            if generation == self._generation:
                rows = (_local_row(clip) for clip in clips if words in clip.repository.lower())
                self._rows = {row.key: row for row in rows}
                self._changed()

        def failed(error: NervplayError) -> None:
            if generation == self._generation:
                self.error = self.error or str(error)
                self._changed()

        self._work.submit(self._hub.local, found, failed)
        self._changed()

    def _row(self, entry: Entry, known: Row | None) -> Row:
        """Return the row of an entry, with what is known of the same commit already."""
        if known is not None and known.entry.revision == entry.revision:
            return replace(known, entry=entry)
        return Row(entry.repository, entry, transfer=Transfer() if self._pull_of(entry.repository) else None)

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
            self._arrived(clip, pull.slot)

        def failed(error: NervplayError) -> None:
            finish(Transfer(cancelled=True) if isinstance(error, Interrupted) else Transfer(error=str(error)))

        self._work.submit(lambda: self._hub.pull(pull.address, progress=told, cancel=pull.cancel), here, failed)

    def _put(self, name: str, **changes: Any) -> None:
        """Change a row, if it is still shown."""
        if name in self._rows:
            self._rows[name] = replace(self._rows[name], **changes)
            self._changed()


def _local_row(clip: Clip) -> Row:
    """Return the row of a file on this computer: everything of it is known, but what its card says."""
    size = clip.header.file_bytes
    return Row(
        str(clip.address),
        Entry(repository=clip.repository, revision=clip.revision, tags=(clip.header.architecture,)),
        poster=b"",
        peek=Peek(repository=clip.repository, revision=clip.revision, file=clip.file, header=clip.header),
        transfer=Transfer(size, size, clip=clip),
    )


def hub_fetch(hub: Hub) -> Fetch:
    """Return a function that makes an address into a file.

    Args:
        hub: the connection.
    """

    def fetch(address: str, cancelled: threading.Event, progress: Callable[[str], None]) -> Fetched:
        def told(done: int, total: int) -> None:
            progress(f"pulling {address}: {100 * done // max(total, 1)} % of {total / 1e6:.1f} MB")

        clip = hub.pull(address, progress=told, cancel=cancelled)
        return Fetched(clip.path, str(clip.address))

    return fetch
