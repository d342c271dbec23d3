"""Addresses of neural videos on the Hugging Face Hub: written forms to one frozen `Address`, without any network.

    hf://user/name                                    the video of the repository's newest version
    hf://user/name@rev                                of a branch, a tag or a commit; a slash in `rev` is written %2F
    hf://user/name@rev/variants/low.safetensors       another file of the repository
    user/name, user/name@rev                          the same without the scheme, where no local file can be meant
    https://huggingface.co/user/name[/tree/rev]       links as a browser shows them, hf.co too
    https://huggingface.co/user/name/blob/rev/file    (also /resolve/ and /raw/)

The grammar is that of the Hub's own `hf://` addresses, narrowed to model repositories and to files that can be a neural
video. The rules for names are the Hub's: letters, digits, `-`, `_`, `.`, at most 96 characters, no `--` and no `..`.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from nervplay.errors import UsageError

__all__ = ["DEFAULT_FILE", "Address", "is_address", "parse_address"]

DEFAULT_FILE = "model.safetensors"
"""The neural video of a repository: the Hub's own name for the one file of weights."""

_SCHEME = "hf://"
_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
_LINK = re.compile(rf"https?://(?:{'|'.join(re.escape(host) for host in _HOSTS)})(?:[/?#]|$)", re.IGNORECASE)
_OTHER_KINDS = ("datasets", "spaces", "kernels", "buckets", "collections", "papers", "docs")
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")
_SPECIAL_REVISION = re.compile(r"refs/(?:pr/\d+|convert/[A-Za-z0-9_.-]+)(?=/|$)")
_REVISION = re.compile(r"[A-Za-z0-9_.+/-]{1,200}")
_SUFFIXES = (".safetensors", ".nerv")
_EXAMPLES = "write hf://user/name, hf://user/name@v1 or a huggingface.co link"


@dataclass(frozen=True, kw_only=True)
class Address:
    """A neural video on the Hub.

    Args:
        repository: "user/name".
        revision: branch, tag or commit; None means the newest version of the main branch.
        file: path inside the repository, with forward slashes.

    Raises:
        UsageError: a part that the Hub cannot have, or that could leave the folder it is stored in.
    """

    repository: str
    revision: str | None = None
    file: str = DEFAULT_FILE

    def __post_init__(self) -> None:
        _check_repository(self.repository)
        if self.revision is not None:
            _check_revision(self.revision)
        _check_file(self.file)

    def __str__(self) -> str:
        """Return the shortest `hf://` form; `parse_address` gives the same address back."""
        text = _SCHEME + self.repository
        if self.revision is not None:
            special = _SPECIAL_REVISION.fullmatch(self.revision)
            text += "@" + (self.revision if special else self.revision.replace("/", "%2F"))
        return text if self.file == DEFAULT_FILE else f"{text}/{quote(self.file)}"


def is_address(text: str) -> bool:
    """Return whether `text` can only be meant for the Hub: it starts with hf:// or is a link to huggingface.co.

    The bare form `user/name` is a relative path as well, so it does not count here; `parse_address` reads it.
    """
    return text.lower().startswith(_SCHEME) or _LINK.match(text) is not None


def parse_address(text: str) -> Address:
    """Return the address that `text` names, in any of the forms at the head of this module.

    Raises:
        UsageError: not an address; the message says which part is wrong and what would be right.
    """
    if text.lower().startswith(_SCHEME):
        repository, revision, file = _split(text[len(_SCHEME) :])
    elif _LINK.match(text):
        repository, revision, file = _split_link(text)
    elif "://" in text:
        raise UsageError(f"'{text}' is not an address on the Hugging Face Hub; {_EXAMPLES}")
    else:
        repository, revision, file = _split(text)
        if file:
            raise UsageError(f"'{text}' has a file behind the repository; write {_SCHEME}{text} for a file on the Hub")
    try:
        return Address(repository=repository, revision=revision, file=file or DEFAULT_FILE)
    except UsageError as error:
        raise UsageError(f"'{text}' is not an address of a neural video: {error}") from None


def _split(body: str) -> tuple[str, str | None, str]:
    """Return repository, revision and file ("" when absent) of `user/name[@rev][/file]`."""
    user, _, rest = body.partition("/")
    if user in _OTHER_KINDS:
        raise UsageError(f"'{body}' names a place for {user}; neural videos lie in model repositories: {_EXAMPLES}")
    if user == "models" and "/" in rest:
        user, _, rest = rest.partition("/")
    name, slash, file = rest.partition("/")
    if "@" not in name:
        return f"{user}/{name}", None, _file(slash, file)
    name, _, tail = rest.partition("@")
    special = _SPECIAL_REVISION.match(tail)
    revision, slash, file = (
        (special[0], tail[special.end() :][:1], tail[special.end() + 1 :]) if special else (tail.partition("/"))
    )
    return f"{user}/{name}", unquote(revision), _file(slash, file)


def _file(slash: str, file: str) -> str:
    """Return the decoded file part; a lone trailing slash counts as none."""
    return unquote(file) if slash else ""


def _split_link(text: str) -> tuple[str, str | None, str]:
    """Return repository, revision and file ("" when absent) of a link to huggingface.co."""
    parts = urlsplit(text).path.strip("/").split("/")
    if parts[0] in _OTHER_KINDS:
        raise UsageError(f"'{text}' is a link to {parts[0]}; neural videos lie in model repositories: {_EXAMPLES}")
    repository, view, rest = "/".join(parts[:2]), parts[2:3], "/".join(parts[3:])
    if not view:
        return repository, None, ""
    special = _SPECIAL_REVISION.match(unquote(rest))
    if special:
        revision, file = special[0], unquote(rest)[special.end() + 1 :]
    else:
        head, _, tail = rest.partition("/")
        revision, file = unquote(head), unquote(tail)
    if not revision or view[0] not in ("tree", "blob", "resolve", "raw") or (view[0] == "tree" and file):
        raise UsageError(f"'{text}' is not a link to a repository or to a file in one; {_EXAMPLES}")
    return repository, revision, file


def _check_repository(repository: str) -> None:
    names = repository.split("/")
    if len(names) != 2 or not all(_NAME.fullmatch(name) for name in names):
        raise UsageError(
            f"the repository '{repository}' must be user/name, each of letters, digits, '-', '_' or '.'"
            " and at most 96 characters"
        )
    if "--" in repository or ".." in repository or repository.endswith(".git"):
        raise UsageError(f"the repository '{repository}' has '--', '..' or '.git'; the Hub allows none of them")


def _check_revision(revision: str) -> None:
    steps = revision.split("/")
    if not _REVISION.fullmatch(revision) or any(step in ("", ".", "..") for step in steps):
        raise UsageError(f"the revision '{revision}' is not a branch, a tag or a commit")


def _check_file(file: str) -> None:
    steps = file.split("/")
    if any(step in ("", ".", "..") for step in steps) or re.search(r'[\\:*?"<>|\x00-\x1f\x7f]', file):
        raise UsageError(f"the file '{file}' must be a plain path inside the repository")
    if not file.endswith(_SUFFIXES):
        raise UsageError(f"the file '{file}' cannot be a neural video; its name ends with {' or '.join(_SUFFIXES)}")
