"""`Hub`: neural videos on the Hugging Face Hub, found, looked at, fetched and published."""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from models_hub.address import Address, parse_address
from models_hub.entries import Account, Clip, Entry, Peek, Published, Verdict
from models_hub.layout import LIBRARY, OFFICIAL_ENDPOINT
from models_hub.library import require_library
from models_hub.publication import Publication
from nervplay import __version__
from nervplay.errors import UsageError

__all__ = ["Hub"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Hub:
    """A connection to the Hub: endpoint, login and cache. Making one loads the library, but sends nothing.

    Contract: all methods may be called from several threads at once. A `cancel` event ends a call within 0.2 s with
    `Interrupted`, whatever the network does. No call waits in silence: whatever is tried again is told to `notice`.
    The first `Hub` of a process puts our HTTP client under huggingface_hub and switches its xet transfers off; outside
    our calls that client behaves as the library's own.

    Args:
        endpoint: address of the Hub; None for HF_ENDPOINT or the official one.
        token: to log in with; None for the login kept on this computer, False for none at all.
        cache_dir: folder of the cache; None for the one that all tools of the Hub share (HF_HOME).
        notice: told in one sentence when a call must wait or begins again.

    Raises:
        CapabilityError: huggingface_hub is not installed.
        UsageError: an endpoint without https; only this computer itself may do without.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        *,
        notice: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        require_library()
        from huggingface_hub import HfApi, constants

        from models_hub.client import install
        from models_hub.running import Runner

        self.endpoint: str = _checked_endpoint(endpoint or constants.ENDPOINT)
        """Address of the Hub, without a slash at its end."""
        self.cache = Path(cache_dir or constants.HF_HUB_CACHE).expanduser()
        """Folder of the cache."""
        install()
        self._api = HfApi(endpoint=self.endpoint, token=token, library_name=LIBRARY, library_version=__version__)
        self._runner = Runner(notice)

    @property
    def is_official(self) -> bool:
        """Whether the endpoint is huggingface.co; any other one gets the login, too, and should be shown."""
        return self.endpoint == OFFICIAL_ENDPOINT

    def search(
        self,
        text: str | None = None,
        tags: Sequence[str] = (),
        author: str | None = None,
        limit: int = 50,
        cancel: threading.Event | None = None,
    ) -> list[Entry]:
        """Return repositories of neural videos, last changed first: one request.

        Args:
            text: part of the name; None for all.
            tags: tags that all must be there ("hnerv", "720p").
            author: only of this user or organisation.
            limit: most results, 1 to 1000.
            cancel: stops the call.

        Raises:
            RemoteError: the Hub cannot be reached, refuses, or asks for a pause.
        """
        from models_hub.search import search

        return self._runner.run(lambda: search(self._api, text, tags, author, limit), cancel)

    def peek(self, address: Address | str, *, cancel: threading.Event | None = None) -> Peek:
        """Return what a video says of itself without downloading it: two requests.

        Args:
            address: the video, see `parse_address`.
            cancel: stops the call.

        Raises:
            UsageError: not an address.
            BitstreamError: not a video that nervplay can play.
            RemoteError: no such video, no access, no connection.
        """
        from models_hub.pull import peek

        wanted = _address(address)
        return self._runner.run(lambda: peek(self._api, wanted), cancel)

    def poster(self, repository: str, *, revision: str | None = None, cancel: threading.Event | None = None) -> bytes:
        """Return the poster of a repository, WebP of at most 200 kB: two requests.

        Args:
            repository: "user/name".
            revision: commit; None for the newest.
            cancel: stops the call.

        Raises:
            RemoteError: no poster, no access, no connection.
        """
        from models_hub.pull import poster

        return self._runner.run(lambda: poster(self._api, repository, revision), cancel)

    def pull(
        self,
        address: Address | str,
        *,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
        cancel: threading.Event | None = None,
        offline: bool = False,
    ) -> Clip:
        """Return a video as a file, downloaded unless it is in the cache whole and sound.

        The address is resolved once; a commit that is in the cache needs no request at all. A download that is stopped
        leaves nothing behind, and the next one begins again.

        Args:
            address: the video, see `parse_address`.
            progress: told (bytes done, bytes in all), from the thread that works.
            cancel: stops the call.
            offline: make no request.

        Raises:
            UsageError: not an address.
            BitstreamError: not a video that nervplay can play.
            RemoteError: no such video, no access, no connection, damaged on the way twice.
            OutputError: the cache cannot be written.
        """
        from models_hub.pull import pull

        wanted = _address(address)
        return self._runner.run(lambda: pull(self._api, self.cache, wanted, progress, offline=offline), cancel)

    def push(
        self,
        publication: Publication,
        repository: str,
        *,
        private: bool = True,
        message: str = "Publish with nervplay",
        tag: str | None = None,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
        cancel: threading.Event | None = None,
    ) -> Published:
        """Publish a video as one commit; the repository is made where it does not exist.

        Args:
            publication: what to publish.
            repository: "user/name".
            private: of a new repository.
            message: of the commit.
            tag: name for the commit, None for none.
            progress: told (bytes done, bytes in all), from the thread that works.
            cancel: stops the call; before the commit itself nothing is published.

        Raises:
            BitstreamError: not a sound .nerv file.
            UsageError: a name that cannot be, or a repository that holds something else.
            RemoteError: no login, no right, changed meanwhile, no connection.
        """
        from models_hub.push import push

        return self._runner.run(
            lambda: push(
                self._api, publication, repository, private=private, message=message, tag=tag, progress=progress
            ),
            cancel,
        )

    def local(self) -> list[Clip]:
        """Return the neural videos in the cache, newest repositories first; no request."""
        from models_hub.store import local_clips

        return self._runner.run(lambda: local_clips(self.cache))

    def verify(self, address: Address | str) -> list[Verdict]:
        """Check downloaded videos against their digests and read them to the end; no request.

        Args:
            address: a repository; with a commit only that one.

        Raises:
            UsageError: not an address, or nothing of it is on this computer.
        """
        from models_hub.store import verify_files

        wanted = _address(address)
        verdicts = self._runner.run(lambda: verify_files(self.cache, wanted.repository, wanted.revision))
        if not verdicts:
            raise UsageError(f"nothing of {wanted} is on this computer; `nervplay hub list` shows what is")
        return verdicts

    def remove(self, repository: str) -> int:
        """Delete a repository of neural videos from the cache and return the bytes that were freed; no request.

        Args:
            repository: "user/name".

        Raises:
            UsageError: no neural video of it is in the cache.
        """
        from models_hub.store import remove_repository

        return self._runner.run(lambda: remove_repository(self.cache, repository))

    def whoami(self, *, cancel: threading.Event | None = None) -> Account:
        """Return who is logged in.

        Args:
            cancel: stops the call.

        Raises:
            RemoteError: nobody, or the Hub does not accept the login.
        """
        from models_hub.account import who_am_i

        return self._runner.run(lambda: who_am_i(self._api), cancel)

    def login(self, token: str) -> Account:
        """Keep a token for all tools of the Hub on this computer, once the Hub has accepted it.

        Args:
            token: from the Hub's settings page.

        Raises:
            UsageError: not the shape of a token.
            RemoteError: the Hub does not accept it.
        """
        from models_hub.account import log_in

        return self._runner.run(lambda: log_in(self._api, token))

    def logout(self) -> None:
        """Forget all tokens that are kept on this computer."""
        from models_hub.account import log_out

        self._runner.run(log_out)


def _address(address: Address | str) -> Address:
    return parse_address(address) if isinstance(address, str) else address


def _checked_endpoint(endpoint: str) -> str:
    """Return the endpoint without a slash at its end; a login never travels in the clear to another computer."""
    parts = urlsplit(endpoint)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise UsageError(f"the Hub's endpoint '{endpoint}' must begin with https://; check HF_ENDPOINT")
    return endpoint.rstrip("/")
