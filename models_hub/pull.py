"""From the Hub: what a video says of itself, its poster, the video as a file in the cache."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Self

from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
from huggingface_hub import errors as library
from huggingface_hub.hf_api import RepoFile

from models_hub.address import Address
from models_hub.client import Refused, Unreachable, current_call
from models_hub.entries import Clip, Peek
from models_hub.explain import OFFLINE
from models_hub.layout import LIBRARY, MAX_POSTER_BYTES, MAX_VIDEO_BYTES, POSTER
from models_hub.ranges import RemoteFile, fetch_part
from models_hub.running import Progress, again, check_cancel, is_offline_mode, notify
from models_hub.store import is_being_written, is_intact, sweep
from nervplay.bitstream import peek_nerv
from nervplay.errors import BitstreamError, RemoteError

__all__ = ["peek", "poster", "pull"]


def peek(api: HfApi, address: Address) -> Peek:
    """Read what a video on the Hub says about itself; its header and head travel, its weights do not.

    Args:
        api: endpoint and token.
        address: the video.

    Raises:
        BitstreamError: not a neural video.
        library and network errors, which the runner explains.
    """
    remote = again(lambda: RemoteFile(api, address.repository, address.revision or "main", address.file))
    return Peek(
        repository=address.repository,
        revision=remote.revision,
        file=address.file,
        header=_inspected(address, lambda: peek_nerv(remote)),  # type: ignore[arg-type]  # typeshed: RawIOBase is no BinaryIO
    )


def poster(api: HfApi, repository: str, revision: str | None) -> bytes:
    """Return the poster of a repository, a WebP of at most 200 kB.

    Args:
        api: endpoint and token.
        repository: "user/name".
        revision: commit; None for the newest.

    Raises:
        RemoteError: a poster that is larger, or no WebP.
        library and network errors, which the runner explains.
    """
    part = again(lambda: fetch_part(api, repository, revision or "main", POSTER, start=0, length=MAX_POSTER_BYTES + 1))
    if len(part.data) > MAX_POSTER_BYTES or part.data[:4] != b"RIFF" or part.data[8:12] != b"WEBP":
        raise RemoteError(f"the poster of {repository} is no WebP of at most {MAX_POSTER_BYTES} bytes; it is not shown")
    return part.data


def pull(api: HfApi, cache: Path, address: Address, progress: Progress, *, offline: bool) -> Clip:
    """Return a video as a file in the cache, downloading it only where it is not there whole and sound.

    The revision is resolved once; everything else is asked of that commit.

    Args:
        api: endpoint and token.
        cache: folder of the cache.
        address: the video.
        progress: told after every piece.
        offline: make no request.

    Raises:
        RemoteError: not in the cache and no connection, or damaged on the way twice.
        BitstreamError: not a video that nervplay can play.
        library and network errors, which the runner explains.
    """
    offline = offline or is_offline_mode()
    revision, reached = _resolve(api, cache, address, offline=offline)
    found = try_to_load_from_cache(address.repository, address.file, cache_dir=cache, revision=revision)
    path = Path(found) if isinstance(found, str) else None
    if path is not None and is_intact(path):
        return _clip(path, address, revision, from_cache=True)
    if offline or not reached:
        raise RemoteError(_not_here(address, path, offline=offline))
    if path is not None:
        notify(f"{address.file} of {address.repository} was damaged on this disk; getting it again")
    sweep(cache, address.repository)
    return _clip(_download(api, cache, address, revision, progress), address, revision, from_cache=False)


def _commit(name: str) -> str:
    """Return the name of a commit once it is one: folders of the cache are called after it."""
    if not re.fullmatch(r"[0-9a-f]{40}", name):
        raise RemoteError(
            f"the Hub names a commit '{name[:40]}', which is none; this is not the Hub: check HF_ENDPOINT"
        )
    return name


def _resolve(api: HfApi, cache: Path, address: Address, *, offline: bool) -> tuple[str, bool]:
    """Return the commit of an address, and whether the Hub was reached or need not be asked."""

    def ask(local: bool) -> str:
        found = api.resolve_revision(
            address.repository, revision=address.revision, cache_dir=cache, local_files_only=local
        )
        return _commit(found.resolved)

    if offline:
        try:
            return ask(local=True), False
        except library.RevisionResolutionError:
            raise RemoteError(_not_here(address, None, offline=True)) from None
    try:
        return again(lambda: ask(local=False)), True
    except (Unreachable, Refused) as error:
        if isinstance(error, Refused) and error.status == 429:
            raise
        try:
            revision = ask(local=True)
        except library.RevisionResolutionError:
            raise error from None
        notify("the Hub cannot be reached; taking what is on this computer")
        return revision, False


def _not_here(address: Address, path: Path | None, *, offline: bool) -> str:
    """Return why a video cannot be had without the Hub."""
    if path is not None:
        return (
            f"{address.file} of {address.repository} is damaged on this disk, and the Hub cannot be asked for another;"
            " pull it again when there is a connection"
        )
    if offline:
        return f"{address} is not on this computer, and the Hub may not be asked; pull it without --offline"
    return OFFLINE


def _download(api: HfApi, cache: Path, address: Address, revision: str, progress: Progress) -> Path:
    """Return the path of the downloaded file, its digest checked; once more where it came damaged."""
    remote = _remote_file(api, address, revision)
    counter = _Counter(remote.size, progress)
    if is_being_written(cache, address.repository, remote.lfs.sha256 if remote.lfs else remote.blob_id):
        notify(f"another program downloads {address.file} of {address.repository}; waiting for it")

    def fetch(forced: bool) -> Path:
        call = current_call.get()
        assert call is not None, "requests run in a Runner"
        call.download_begins()
        path = hf_hub_download(  # type: ignore[call-overload]  # a _Bar is no tqdm; the library calls whatever is given
            address.repository,
            address.file,
            revision=revision,
            cache_dir=cache,
            token=api.token,
            endpoint=api.endpoint,
            library_name=LIBRARY,
            library_version=api.library_version,
            tqdm_class=partial(_Bar, counter),
            force_download=forced,
        )
        return Path(path)

    for forced in (False, True):  # unforced takes a blob that another commit has brought already
        path = again(partial(fetch, forced))
        if is_intact(path):
            return path
        if not forced:
            notify(f"{address.file} arrived damaged; getting it again")
    path.resolve().unlink(missing_ok=True)
    raise RemoteError(f"{address.file} of {address.repository} arrived damaged twice; try again later")


def _remote_file(api: HfApi, address: Address, revision: str) -> RepoFile:
    """Return what the Hub says of the file, once it is known to be there and small enough."""
    rows = again(lambda: api.get_paths_info(address.repository, [address.file], revision=revision))
    files = [row for row in rows if isinstance(row, RepoFile) and row.path == address.file]
    if not files:
        raise RemoteError(f"{address.repository} has no file {address.file}; its page shows what there is")
    if files[0].size > MAX_VIDEO_BYTES:
        raise BitstreamError(
            f"{address.file} of {address.repository} has {files[0].size} bytes; a neural video has at most"
            f" {MAX_VIDEO_BYTES}, so it was not downloaded"
        )
    return files[0]


def _clip(path: Path, address: Address, revision: str, *, from_cache: bool) -> Clip:
    return Clip(
        path=path,
        repository=address.repository,
        revision=revision,
        file=address.file,
        header=_inspected(address, lambda: peek_nerv(path)),
        from_cache=from_cache,
    )


def _inspected(address: Address, read: Callable[[], Any]) -> Any:
    """Return what `read` returns; a refusal of the bounded reader gets the address for a name."""
    try:
        return read()
    except BitstreamError as error:
        reason = str(error).partition(": ")[2]
        raise type(error)(f"{address} is no video that nervplay can play: {reason}") from None


class _Counter:
    """Counts the bytes of one file over broken connections and new beginnings.

    Args:
        total: bytes of the file.
        progress: told the sum.
    """

    def __init__(self, total: int, progress: Progress) -> None:
        self._total, self._progress, self.done = total, progress, 0

    def tell(self, done: int) -> None:
        """Report that `done` bytes are there."""
        self.done = done
        self._progress(min(done, self._total), self._total)


class _Bar:
    """Stands where the library wants a tqdm: it calls `update` between two pieces, so raising there stops it.

    Args:
        counter: what to tell.
        initial: bytes that are there already.
        _rest: what a tqdm would show.
    """

    def __init__(self, counter: _Counter, *_args: object, initial: int = 0, **_rest: object) -> None:
        self._counter = counter
        counter.tell(initial)

    def update(self, count: int = 1) -> None:
        """Count `count` more bytes; negative when the server began again."""
        self._counter.tell(self._counter.done + count)
        check_cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        return None
