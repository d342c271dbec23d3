"""Every failure of the library and of the network as one of our errors, in the sentence that the user reads."""

import errno

import httpx2
from huggingface_hub import errors as library

from models_hub.client import Refused, Unreachable
from nervplay.errors import NervplayError, OutputError, RemoteError, UsageError

__all__ = ["OFFLINE", "explain", "root_cause"]

OFFLINE = "the Hub cannot be reached; check the connection, videos already downloaded still play"

_LOGIN = "the Hub does not accept the saved login; log in again: nervplay hub login"
_GATED = (
    "the owner gives this video only to people who ask; open its page, accept the terms, then log in:"
    " nervplay hub login"
)
_MISSING = "there is no such video, or it is private; check the name, or log in if it is private: nervplay hub login"
_DENIED = "your login may not change this repository; use your own name, or a token that can write"
_SENTENCES: tuple[tuple[type[BaseException], str], ...] = (  # order matters: "gated" is a kind of "not found"
    (library.OfflineModeIsEnabled, "HF_HUB_OFFLINE forbids asking the Hub; unset it, or use what is downloaded"),
    (library.RevisionResolutionError, OFFLINE),
    (httpx2.TransportError, OFFLINE),
    (library.GatedRepoError, _GATED),
    (library.RepositoryNotFoundError, _MISSING),
    (library.RevisionNotFoundError, "there is no such version of this video; check what stands behind the @"),
    (library.RemoteEntryNotFoundError, "this repository has no such file; check the path behind its name"),
    (library.LocalTokenNotFoundError, "nobody is logged in; log in first: nervplay hub login"),
    (library.LocalEntryNotFoundError, OFFLINE),
)
_STATUS = {
    401: _LOGIN,
    403: _DENIED,
    412: "someone changed this repository meanwhile; pull it, then push again",
    413: "the Hub finds a file too large; push fewer or smaller variants",
}


def explain(error: BaseException) -> NervplayError:
    """Return the error of ours for whatever a call to the Hub raised.

    Args:
        error: from the library, the network or the system; one of ours is returned as it is.
    """
    root = root_cause(error)
    match root:
        case NervplayError():
            return root
        case Refused():
            return _refused(root)
        case Unreachable():
            return RemoteError(OFFLINE)
        case library.HFValidationError():
            return UsageError("that is not a name of a repository; write user/name")
    sentence = next((sentence for kind, sentence in _SENTENCES if isinstance(root, kind)), None)
    status = getattr(getattr(root, "response", None), "status_code", None)
    if sentence is None and isinstance(root, OSError) and status is None and root.errno is not None:
        return _system(root)
    what = f"status {status}" if status is not None else type(root).__name__
    unexpected = f"the Hub answered something unexpected ({what}); try again later, or update nervplay"
    return RemoteError(sentence or _STATUS.get(status or 0, unexpected))


def root_cause(error: BaseException) -> BaseException:
    """Return what the library has wrapped: one of ours, or what happened in an upload (a RuntimeError hides that).

    Args:
        error: from the library; returned as it is where it hides nothing.
    """
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, NervplayError | Refused | Unreachable):
            return link
        if type(error) is RuntimeError and isinstance(link, library.HfHubHTTPError | httpx2.TransportError):
            return link
        link = link.__cause__
    return error


def _refused(error: Refused) -> RemoteError:
    if error.status == 429:
        return RemoteError(
            "the Hub asks for a pause: too many requests; try again in"
            f" {error.seconds or 60} seconds, or log in for a higher limit: nervplay hub login"
        )
    return RemoteError(f"the Hub has a problem of its own (error {error.status}); try again in a few minutes")


def _system(error: OSError) -> NervplayError:
    """Return what a full disk or a folder without rights means here: the cache cannot take the file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(
            "the disk is full; make room, remove videos with `nervplay hub remove`, or set HF_HOME to another disk"
        )
    return OutputError(
        f"the cache of the Hub cannot be used ({error.strerror}: {error.filename}); check its rights, or set HF_HOME"
    )
