"""What the loopback Hub knows: repositories, commits and files, as git and git-lfs count them."""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import yaml

__all__ = ["Commit", "Repository", "State", "StoredFile", "git_digest", "sha256"]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_digest(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def lfs_pointer(digest: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {size}\n".encode()


@dataclass
class StoredFile:
    """A file of a commit: git's digest, size, and the sha256 when it is a large file."""

    oid: str
    size: int
    lfs: str | None = None


@dataclass
class Commit:
    sha: str
    parent: str | None
    title: str
    date: str
    files: dict[str, StoredFile]


@dataclass
class Repository:
    id: str
    private: bool = False
    gated: bool = False
    granted: set[str] = field(default_factory=set)
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    downloads: int = 0

    @property
    def owner(self) -> str:
        return self.id.split("/")[0]

    @property
    def head(self) -> Commit:
        return self.commits[self.branches["main"]]

    def resolve(self, revision: str) -> Commit | None:
        return self.commits.get(self.branches.get(revision) or self.tags.get(revision) or revision)


class State:
    """All repositories and the bytes behind them."""

    def __init__(self, users: dict[str, str]) -> None:
        self.users = users  # by token
        self.repositories: dict[str, Repository] = {}
        self.regular: dict[str, bytes] = {}  # by git's digest
        self.large: dict[str, bytes] = {}  # by sha256
        self.large_names = r"\.(safetensors|mp4|webp|nerv|bin|pth)$"
        """What the Hub keeps in its large-file store, by name."""
        self._count = 0

    def create(self, name: str, *, private: bool = False) -> Repository:
        repository = self.repositories[name] = Repository(name, private=private)
        self.commit(repository, {".gitattributes": self.store(b"*.safetensors filter=lfs\n")}, "initial commit")
        return repository

    def commit(self, repository: Repository, files: dict[str, StoredFile], title: str, branch: str = "main") -> Commit:
        self._count += 1
        parent = repository.branches.get(branch)
        sha = hashlib.sha1(f"{repository.id} {parent} {self._count}".encode()).hexdigest()
        date = datetime.now(UTC).replace(microsecond=self._count % 1000 * 1000).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        repository.commits[sha] = Commit(sha, parent, title, date, files)
        repository.branches[branch] = sha
        return repository.commits[sha]

    def add(self, name: str, path: str, data: bytes, *, large: bool = True) -> Commit:
        """Commit one file past the network."""
        repository = self.repositories.get(name) or self.create(name)
        stored = self.store_large(data) if large else self.store(data)
        return self.commit(repository, {**repository.head.files, path: stored}, f"add {path}")

    def store(self, data: bytes) -> StoredFile:
        self.regular[git_digest(data)] = data
        return StoredFile(git_digest(data), len(data))

    def store_large(self, data: bytes) -> StoredFile:
        self.large[sha256(data)] = data
        return self.large_file(sha256(data))

    def large_file(self, digest: str) -> StoredFile:
        size = len(self.large[digest])
        return StoredFile(git_digest(lfs_pointer(digest, size)), size, digest)

    def data(self, file: StoredFile) -> bytes:
        return self.large[file.lfs] if file.lfs else self.regular[file.oid]

    def card(self, commit: Commit) -> dict[str, Any]:
        readme = commit.files.get("README.md")
        match = re.match(rb"---\n(.*?)\n---", self.data(readme), re.DOTALL) if readme else None
        found = yaml.safe_load(match[1]) if match else None
        return found if isinstance(found, dict) else {}

    def facts(self, repository: Repository, commit: Commit, *, blobs: bool = False) -> dict[str, Any]:
        """Return what the API says of a repository."""
        card = self.card(commit)
        tags = [card.get("library_name"), *(card.get("tags") or []), "region:us"]
        if card.get("license"):
            tags.append(f"license:{card['license']}")
        siblings = []
        for path, file in sorted(commit.files.items()):
            row: dict[str, Any] = {"rfilename": path}
            if blobs:
                row |= {"size": file.size, "blobId": file.oid}
            siblings.append(row)
        return {
            "_id": sha256(repository.id.encode())[:24],
            "id": repository.id,
            "modelId": repository.id,
            "author": repository.owner,
            "private": repository.private,
            "gated": "manual" if repository.gated else False,
            "disabled": False,
            "downloads": repository.downloads,
            "likes": 0,
            "tags": [tag for tag in tags if tag],
            "library_name": card.get("library_name"),
            "sha": commit.sha,
            "lastModified": commit.date,
            "siblings": siblings,
            "cardData": card,
        }
