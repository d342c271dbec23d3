"""To the Hub: one commit with the video, its card and its pictures."""

import io
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.hf_api import ModelInfo

from models_hub.address import Address
from models_hub.card import make_card, make_config
from models_hub.entries import Published
from models_hub.layout import CARD, CONFIG, POSTER, PREVIEW, TAG, VIDEO, variant_path
from models_hub.publication import Publication
from models_hub.running import Progress, again, check_cancel, notify
from nervplay.bitstream import NervHeader, peek_nerv
from nervplay.errors import UsageError

__all__ = ["push"]

_STARTING_FILES = (".gitattributes", CARD, "LICENSE")
"""What the Hub's own pages put into a repository that is otherwise empty."""


def push(
    api: HfApi,
    publication: Publication,
    repository: str,
    *,
    private: bool,
    message: str,
    tag: str | None,
    progress: Progress,
) -> Published:
    """Publish a neural video as one commit; until that commit the repository stays as it was.

    The repository is made where it does not exist. Large files are sent one after the other before the commit.

    Args:
        api: endpoint and token.
        publication: what to publish.
        repository: "user/name".
        private: of a new repository; an existing one stays as it is.
        message: of the commit.
        tag: name for the new commit, None for none.
        progress: told after every piece of the large files.

    Raises:
        BitstreamError: a file that is no sound .nerv.
        UsageError: a repository that holds something else.
        library and network errors, which the runner explains.
    """
    Address(repository=repository, revision=tag)  # its rules for names
    header = peek_nerv(publication.video)
    variants = {name: peek_nerv(path) for name, path in publication.variants.items()}
    _check_same_clip(header, variants)
    url = again(lambda: api.create_repo(repository, private=private, exist_ok=True))
    present = again(lambda: api.model_info(url.repo_id))
    _check_ours(present)
    texts = {
        CARD: make_card(publication, url.repo_id, header, variants).encode(),
        CONFIG: make_config(header),
    }
    uploads = _Uploads(_large_files(publication), progress)
    try:
        for operation in uploads.operations:
            again(partial(_send, api, url.repo_id, operation))
        check_cancel()
        small = [CommitOperationAdd(path, data) for path, data in texts.items()]
        revision = _commit(api, url.repo_id, [*small, *uploads.operations], message, present.sha)
    finally:
        uploads.close()
    if tag is not None:
        _name(api, url.repo_id, revision, tag)
    progress(uploads.total, uploads.total)
    sizes = {path: len(data) for path, data in texts.items()} | uploads.sizes
    return Published(repository=url.repo_id, revision=revision, url=str(url), files=sizes)


def _commit(api: HfApi, repository: str, operations: list[CommitOperationAdd], message: str, parent: str | None) -> str:
    """Return the new commit; asked for once, because an answer that is lost does not undo it.

    Raises:
        UsageError: the Hub does not take the card.
        library and network errors, which the runner explains.
    """
    try:
        return api.create_commit(repository, operations, commit_message=message, parent_commit=parent).oid
    except ValueError as error:
        if type(error) is not ValueError:  # the library's own errors are ValueErrors, too
            raise
        reason = " ".join(str(error).split())[:300]
        raise UsageError(f"the Hub does not take the card: {reason}; check licence and title") from None


def _name(api: HfApi, repository: str, revision: str, tag: str) -> None:
    """Give a commit a tag; one that is there already stays where it is, which the user is told."""
    try:
        again(lambda: api.create_tag(repository, tag=tag, revision=revision))
    except HfHubHTTPError as error:
        if error.response.status_code != 409:
            raise
        notify(f"the tag {tag} of {repository} is there already and stays at its version; choose another name")


def _send(api: HfApi, repository: str, operation: CommitOperationAdd) -> None:
    """Send one large file. One at a time: for several the library starts threads, out of reach of our client."""
    assert isinstance(operation.path_or_fileobj, _Reader), "large files are readers"
    operation.path_or_fileobj.seek(0)  # a try that failed may have left it anywhere
    api.preupload_lfs_files(repository, [operation])


def _check_same_clip(header: NervHeader, variants: Mapping[str, NervHeader]) -> None:
    """Refuse variants of another clip: size may differ, length and rate may not."""
    for name, variant in variants.items():
        if (variant.video.frame_count, variant.video.rate) != (header.video.frame_count, header.video.rate):
            raise UsageError(
                f"the variant '{name}' has {variant.video.frame_count} frames at {variant.video.rate} per second, the"
                f" video {header.video.frame_count} at {header.video.rate}; publish another clip in its own repository"
            )


def _check_ours(present: ModelInfo) -> None:
    """Refuse to write over a repository that holds something else than a neural video."""
    files = {sibling.rfilename for sibling in present.siblings or ()}
    if files.difference(_STARTING_FILES) and TAG not in (present.tags or ()):
        raise UsageError(
            f"{present.id} holds something else than a neural video ({min(files.difference(_STARTING_FILES))});"
            " choose another name"
        )


def _large_files(publication: Publication) -> dict[str, Path | bytes]:
    """Return what goes to the Hub's large-file store, by path."""
    files: dict[str, Path | bytes] = {VIDEO: publication.video}
    files |= {variant_path(name): path for name, path in publication.variants.items()}
    pictures = {POSTER: publication.poster, PREVIEW: publication.preview}
    return files | {path: data for path, data in pictures.items() if data is not None}


class _Uploads:
    """The large files of a push, open for reading, their bytes counted together.

    Args:
        files: a path or the bytes, by path in the repository.
        progress: told the sum.
    """

    def __init__(self, files: Mapping[str, Path | bytes], progress: Progress) -> None:
        self._progress, self._counting = progress, False
        self._readers: dict[str, _Reader] = {}
        for path, source in files.items():
            stream = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
            self._readers[path] = _Reader(stream, self._told)
        self.sizes = {path: reader.size for path, reader in self._readers.items()}
        """Bytes by path."""
        self.total = sum(self.sizes.values())
        """Bytes of all files."""
        self.operations = [
            CommitOperationAdd(path, reader)  # type: ignore[arg-type]  # typeshed: BufferedIOBase is no BinaryIO
            for path, reader in self._readers.items()
        ]
        """One for each file. A file object also keeps the library from its xet path, which cannot be stopped."""
        for operation, reader in zip(self.operations, self._readers.values(), strict=True):
            _ = operation.upload_info.sha256  # read for the digest now, so that only sending counts
            reader.reset()
        self._counting = True

    def close(self) -> None:
        """Close all files."""
        for reader in self._readers.values():
            reader.close()

    def _told(self) -> None:
        if self._counting:
            self._progress(sum(reader.furthest for reader in self._readers.values()), self.total)


class _Reader(io.BufferedIOBase):
    """A file that tells how far it was read and ends when the call is cancelled.

    Args:
        stream: the file; closed with this.
        told: called after every read.
    """

    def __init__(self, stream: io.BufferedIOBase | io.BufferedReader, told: Callable[[], None]) -> None:
        self._stream, self._told = stream, told
        self.size = stream.seek(0, io.SEEK_END)
        """Bytes of the file."""
        stream.seek(0)
        self.furthest = 0
        """Bytes that were read at least once since `reset`: a file that is sent again does not count twice."""

    def reset(self) -> None:
        """Begin to count."""
        self.furthest = 0
        self._stream.seek(0)

    def read(self, size: int | None = -1, /) -> bytes:
        check_cancel()
        data = self._stream.read(-1 if size is None else size)
        self.furthest = max(self.furthest, self._stream.tell())
        self._told()
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._stream.close()
        super().close()
