"""The cache of the Hub's own library, shared with its other tools: what of ours is in it, whether it is sound.

A blob of the cache is named by its digest (sha256 of large files, git's sha1 of small ones), so a file can be checked
without a network. Where the system has no symbolic links the name is lost; the checksums inside a .nerv file remain.
"""

import hashlib
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout
from huggingface_hub import errors as library
from huggingface_hub import scan_cache_dir
from huggingface_hub.file_download import repo_folder_name

from models_hub.entries import Clip, Verdict
from models_hub.layout import is_video_name
from nervplay.bitstream import peek_nerv, verify_nerv
from nervplay.errors import InputError, UsageError

__all__ = [
    "CachedFile",
    "cached_videos",
    "is_being_written",
    "is_intact",
    "local_clips",
    "remove_repository",
    "sweep",
    "verify_files",
]

_DAY = 24 * 3600
_BLOCK = 1 << 20
_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class CachedFile(NamedTuple):
    """A file in the cache that may be a neural video by its name."""

    path: Path
    repository: str
    revision: str
    file: str


def is_intact(path: Path) -> bool:
    """Return whether a file of the cache has the digest that its blob is named by; true where it has no such name.

    Args:
        path: a file of a snapshot.
    """
    blob = path.resolve()
    if _SHA256.fullmatch(blob.name):
        digest = hashlib.sha256()
    elif _SHA1.fullmatch(blob.name):
        digest = hashlib.sha1(b"blob %d\0" % blob.stat().st_size, usedforsecurity=False)
    else:
        return True
    with blob.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest() == blob.name


def is_being_written(cache: Path, repository: str, digest: str) -> bool:
    """Return whether another program holds the lock of a blob; the library waits for it, without a word.

    Args:
        cache: folder of the cache.
        repository: "user/name".
        digest: name of the blob.
    """
    lock = cache / ".locks" / repo_folder_name(repo_id=repository, repo_type="model") / f"{digest}.lock"
    if not lock.exists():
        return False
    try:
        FileLock(lock, timeout=0).acquire().lock.release()
    except (Timeout, OSError):
        return True
    return False


def cached_videos(cache: Path, repository: str | None = None) -> Iterator[CachedFile]:
    """Yield the files in the cache that may be neural videos by their names, newest repositories first.

    Args:
        cache: folder of the cache; it may not exist.
        repository: only of this one.
    """
    try:
        repositories = scan_cache_dir(cache).repos
    except library.CacheNotFound:
        return
    for repo in sorted(repositories, key=lambda repo: -(repo.last_modified or 0)):
        if repo.repo_type != "model" or repository not in (None, repo.repo_id):
            continue
        for revision in sorted(repo.revisions, key=lambda revision: -(revision.last_modified or 0)):
            for file in sorted(revision.files, key=lambda file: str(file.file_path)):
                name = Path(file.file_path).relative_to(revision.snapshot_path).as_posix()
                if is_video_name(name):
                    yield CachedFile(Path(file.file_path), repo.repo_id, revision.commit_hash, name)


def local_clips(cache: Path) -> list[Clip]:
    """Return the neural videos in the cache; other tools' files of the same name are passed over.

    Only heads are read, no digests: see `verify_files`.
    """
    clips = []
    for cached in cached_videos(cache):
        try:
            header = peek_nerv(cached.path)
        except InputError:
            continue
        clips.append(
            Clip(
                path=cached.path,
                repository=cached.repository,
                revision=cached.revision,
                file=cached.file,
                header=header,
                from_cache=True,
            )
        )
    return clips


def verify_files(cache: Path, repository: str, revision: str | None) -> list[Verdict]:
    """Check downloaded videos of a repository against their digests, and read them to the end.

    Args:
        cache: folder of the cache.
        repository: "user/name".
        revision: only of this commit.
    """
    return [
        Verdict(clip_path=cached.path, file=cached.file, revision=cached.revision, problem=_problem(cached.path))
        for cached in cached_videos(cache, repository)
        if revision in (None, cached.revision)
    ]


def _problem(path: Path) -> str:
    """Return what is wrong with a downloaded video, "" for a sound one."""
    if not is_intact(path):
        return "it does not have the digest that the Hub gave for it"
    try:
        verify_nerv(path)
    except InputError as error:
        return str(error).removeprefix(f"{path}: ")
    return ""


def remove_repository(cache: Path, repository: str) -> int:
    """Delete a repository of neural videos from the cache.

    Args:
        cache: folder of the cache.
        repository: "user/name".

    Returns:
        Bytes that were freed.

    Raises:
        UsageError: it is not there, or holds no neural video: another tool's files are not ours to delete.
    """
    if all(clip.repository != repository for clip in local_clips(cache)):
        raise UsageError(f"no neural video of {repository} is on this computer; `nervplay hub list` shows what is")
    info = scan_cache_dir(cache)
    revisions = [
        revision.commit_hash
        for repo in info.repos
        if (repo.repo_type, repo.repo_id) == ("model", repository)
        for revision in repo.revisions
    ]
    plan = info.delete_revisions(*revisions)
    plan.execute()
    shutil.rmtree(cache / repo_folder_name(repo_id=repository, repo_type="model"), ignore_errors=True)
    return int(plan.expected_freed_size)


def sweep(cache: Path, repository: str, now: float | None = None) -> None:
    """Delete what killed downloads of a repository left behind: partial files older than a day.

    The library gives every download a name of its own and never looks at partial files again.

    Args:
        cache: folder of the cache.
        repository: "user/name".
        now: time to count from, in seconds; the present when None.
    """
    oldest = (time.time() if now is None else now) - _DAY
    blobs = cache / repo_folder_name(repo_id=repository, repo_type="model") / "blobs"
    for part in blobs.glob("*.incomplete"):
        if part.stat().st_mtime < oldest:
            part.unlink(missing_ok=True)
